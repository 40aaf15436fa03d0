// Panels. Every one has a title, a description, a unit or texts for its values, and says why it is empty when it is.
local colors = import 'colors.libsonnet';

local datasource = { type: 'prometheus', uid: '${datasource}' };
local target(expr) = { datasource: datasource, editorMode: 'code', expr: expr };

{
  datasource: datasource,

  // Queries: a line over time, a number now, and the rows of a table now.
  line(expr, legend):: target(expr) { legendFormat: legend, range: true, instant: false },
  now(expr, legend='__auto'):: target(expr) { legendFormat: legend, range: false, instant: true },
  rows(expr):: self.now(expr) { format: 'table' },

  // Texts for values, with a colour each: [[1, 'OK', colors.ok], …]; null is no value.
  texts(values):: [
    {
      type: 'value',
      options: {
        [std.toString(values[i][0])]: { text: values[i][1], color: values[i][2], index: i }
        for i in std.range(0, std.length(values) - 1)
        if values[i][0] != null
      },
    },
  ] + [
    { type: 'special', options: { match: 'null', result: { text: value[1], color: value[2], index: 99 } } }
    for value in values
    if value[0] == null
  ],

  // Colours from a value on: [[null, colors.ok], [1, colors.broken]].
  steps(values):: { mode: 'absolute', steps: [{ value: value[0], color: value[1] } for value in values] },

  local plain = self.steps([[null, colors.ok]]),

  local panel(type, size, title, description, queries, noValue) = {
    type: type,
    title: title,
    description: description,
    datasource: datasource,
    gridPos: { w: size[0], h: size[1] },
    targets: [queries[i] { refId: std.char(65 + i) } for i in std.range(0, std.length(queries) - 1)],
    fieldConfig: { defaults: { noValue: noValue, thresholds: plain }, overrides: [] },
    links: [],
  },

  // One number. `field` adds to the defaults: unit, mappings, thresholds, links.
  stat(size, title, description, query, noValue, field)::
    panel('stat', size, title, description, [query], noValue) {
      fieldConfig+: { defaults+: { color: { mode: 'thresholds' } } + field },
      options: {
        colorMode: 'background',
        graphMode: 'none',
        justifyMode: 'auto',
        orientation: 'auto',
        textMode: 'value',
        wideLayout: true,
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      },
    },

  // Lines over time. `wait` is the shortest step, so that few calls still make a line.
  graph(size, title, description, queries, noValue, unit, more={}, custom={}, wait='1m')::
    panel('timeseries', size, title, description, queries, noValue) {
      interval: wait,
      fieldConfig+: {
        defaults+: {
          unit: unit,
          min: 0,
          color: { mode: 'palette-classic' },
          custom: {
            drawStyle: 'line',
            lineWidth: 2,
            fillOpacity: 0,
            showPoints: 'auto',
            pointSize: 5,
            // A call each hour still makes one line.
            spanNulls: 2 * 3600 * 1000,
          } + custom,
        } + more,
      },
      options: {
        legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
        tooltip: { mode: 'multi', sort: 'desc' },
      },
    },

  // How many things happened in each step, on top of each other.
  bars(size, title, description, queries, noValue, unit, wait='5m')::
    self.graph(size, title, description, queries, noValue, unit, { decimals: 0 }, {
      drawStyle: 'bars',
      fillOpacity: 70,
      lineWidth: 0,
      spanNulls: false,
      stacking: { mode: 'normal', group: 'A' },
    }, wait),

  // The limits of the SLA: dashed, in the colour of what is broken.
  limitLine(refId):: {
    matcher: { id: 'byFrameRefID', options: refId },
    properties: [
      { id: 'color', value: { mode: 'fixed', fixedColor: colors.broken } },
      { id: 'custom.lineStyle', value: { fill: 'dash', dash: [10, 6] } },
      { id: 'custom.lineWidth', value: 1 },
      { id: 'custom.showPoints', value: 'never' },
    ],
  },

  // One row for each set of labels. `columns` are { query, name, unit, texts, steps, link, width }, or { label, name }
  // for a label of a query; they stand in this order. `by` sorts: [['State', true]], true is the largest first.
  table(size, title, description, columns, noValue, by)::
    local values = [column for column in columns if std.objectHas(column, 'query')];
    local letters = { [values[i].name]: 'Value #' + std.char(65 + i) for i in std.range(0, std.length(values) - 1) };
    local has(column, name) = std.objectHas(column, name);
    local field(column) = if has(column, 'label') then column.label else letters[column.name];
    local override(column) = {
      matcher: { id: 'byName', options: column.name },
      properties: [
                    { id: pair[1], value: column[pair[0]] }
                    for pair in [['unit', 'unit'], ['decimals', 'decimals'], ['width', 'custom.width'], ['links', 'links'], ['noValue', 'noValue']]
                    if has(column, pair[0])
                  ] + (if has(column, 'texts') then [{ id: 'mappings', value: $.texts(column.texts) }] else []) +
                  (if has(column, 'steps') then [{ id: 'thresholds', value: $.steps(column.steps) }] else []) +
                  (if has(column, 'texts') || has(column, 'steps') then [
                     { id: 'custom.cellOptions', value: { type: if has(column, 'texts') then 'color-background' else 'color-text' } },
                   ] else []),
    };
    panel('table', size, title, description, [$.rows(column.query) for column in values], noValue) {
      fieldConfig+: {
        defaults+: {
          unit: 'short',
          color: { mode: 'thresholds' },
          custom: { align: 'auto', cellOptions: { type: 'auto' }, filterable: false, inspect: false },
        },
        overrides: [each for each in [override(column) for column in columns] if each.properties != []],
      },
      options: {
        showHeader: true,
        cellHeight: 'sm',
        sortBy: [{ displayName: each[0], desc: each[1] } for each in by],
      },
      transformations: [
        { id: 'merge', options: {} },
        {
          id: 'organize',
          options: {
            excludeByName: { Time: true } + { [field(column)]: true for column in columns if has(column, 'hidden') },
            indexByName: { [field(columns[i])]: i for i in std.range(0, std.length(columns) - 1) } +
                         (if std.length(values) == 1 then { Value: std.find(values[0], columns)[0] } else {}),
            renameByName: { [field(column)]: column.name for column in columns if !has(column, 'hidden') } +
                          // Grafana numbers the values of several queries only.
                          (if std.length(values) == 1 then { Value: values[0].name } else {}),
          },
        },
      ],
    },

  linkTo(title, url, newTab=true):: { title: title, url: url, targetBlank: newTab },
}

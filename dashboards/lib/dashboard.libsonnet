// A dashboard: its variables, annotations and links, and its panels in rows. The uid is its address and never changes.
local colors = import 'colors.libsonnet';
local panels = import 'panels.libsonnet';
local q = import 'query.libsonnet';

local datasource = panels.datasource;

local variable(name, label, query, current) = {
  name: name,
  label: label,
  type: 'query',
  datasource: datasource,
  query: query,
  refresh: 2,
  sort: 1,
  multi: true,
  includeAll: true,
  allValue: '.+',
  current: current,
  options: [],
  hide: 0,
  regex: '',
};
local everything = { text: ['All'], value: ['$__all'] };

// The jobs have the names that `handrail render` gives them.
local variables(agents) = [
  {
    name: 'datasource',
    label: 'Data source',
    type: 'datasource',
    query: 'prometheus',
    current: {},
    options: [],
    hide: 0,
    refresh: 1,
    regex: '',
    multi: false,
    includeAll: false,
  },
  variable('job', 'Job', 'label_values(up{job=~"handrail-.+|prometheus|alertmanager|n8n"}, job)', everything),
  variable('instance', 'Instance', 'label_values(up{job=~"$job"}, instance)', everything),
  variable('agent', 'Agent', 'label_values(handrail_agent_info{job=~"$job",instance=~"$instance"}, agent)', agents),
];

local annotation(name, color, expr, title, more={}) = {
  name: name,
  datasource: datasource,
  enable: true,
  hide: false,
  iconColor: color,
  expr: expr,
  titleFormat: title,
} + more;

local annotations = [
  annotation('Alerts', colors.broken, q.firing(), '{{alertname}}', {
    textFormat: '{{agent}}{{source}}{{credential}}{{lane}}',
    tagKeys: 'severity',
    step: '60s',
  }),
  annotation(
    'Switched on or off',
    colors.off,
    'max by (agent) (' + q.ofAgent('handrail_agent_flag_changed_timestamp_seconds') + ') > 0',
    '{{agent}} was switched on or off with Handrail',
    // The value is the time, in milliseconds.
    { useValueForTime: true, step: '60s' }
  ) { expr: '1000 * (' + super.expr + ')' },
  annotation(
    'Proofs of switching off',
    colors.warning,
    'sum by (state) (increase(' + q.scraped('handrail_kill_operations_total') + '[1m])) > 0',
    'A switch operation ended: {{state}}',
    { step: '60s' }
  ),
];

// Places the panels of each row from left to right, below its heading.
local placed(rows) = std.foldl(
  function(so, row)
    local height = std.foldl(std.max, [panel.gridPos.h for panel in row.panels], 0);
    local heading = {
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y: so.y, w: 24, h: 1 },
      panels: [],
      datasource: datasource,
    };
    local lefts = std.foldl(function(xs, panel) xs + [xs[std.length(xs) - 1] + panel.gridPos.w], row.panels, [0]);
    {
      y: so.y + 1 + height,
      panels: so.panels + [heading] + [
        row.panels[i] { gridPos+: { x: lefts[i], y: so.y + 1 } }
        for i in std.range(0, std.length(row.panels) - 1)
      ],
    },
  rows,
  { y: 0, panels: [] }
).panels;

{
  everyAgent: everything,
  // Grafana takes the first one there is.
  oneAgent: {},

  row(title, panels):: { title: title, panels: panels },

  board(config, uid, title, description, rows, from, agents=everything):: (
    local all = placed(rows);
    {
      uid: uid,
      title: title,
      description: description,
      tags: ['handrail'],
      schemaVersion: 42,
      editable: false,
      graphTooltip: 1,
      refresh: '1m',
      timezone: '',
      time: { from: from, to: 'now' },
      timepicker: {},
      fiscalYearStartMonth: 0,
      liveNow: false,
      preload: false,
      weekStart: '',
      templating: { list: variables(agents) },
      annotations: { list: annotations },
      links: [
        {
          type: 'dashboards',
          title: 'Handrail',
          tags: ['handrail'],
          asDropdown: false,
          includeVars: true,
          keepTime: true,
          targetBlank: false,
          icon: 'external link',
          tooltip: 'Same agents, same time',
          url: '',
        },
        {
          type: 'link',
          title: 'Agents, tickets and switches',
          tags: [],
          asDropdown: false,
          includeVars: false,
          keepTime: false,
          targetBlank: true,
          icon: 'bolt',
          tooltip: "Handrail's own page: run-books, tickets, calls, and switching off",
          url: config.publicUrl + '/',
        },
      ],
      panels: [all[i] { id: i + 1 } for i in std.range(0, std.length(all) - 1)],
    }
  ),

  // Where a person goes from an agent, a row or a line: `agent` is where its name is found.
  toAgent(agent):: panels.linkTo(
    'This agent over time',
    '/d/handrail-agent?${datasource:queryparam}&var-agent=${' + agent + ':percentencode}&${__url_time_range}',
    false
  ),
  toPage(config, agent):: panels.linkTo(
    'Its tickets, last calls and switch', config.publicUrl + '/?agent=${' + agent + ':percentencode}'
  ),
  toRunbook(config, alertname, agent=null):: panels.linkTo(
    'Run-book',
    config.publicUrl + '/runbook/' + alertname + if agent == null then '' else '?agent=${' + agent + ':percentencode}'
  ),
}

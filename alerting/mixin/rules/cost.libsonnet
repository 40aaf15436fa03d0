// What an agent's calls cost in a day, and in a window against the one before it. A cost that nobody told is not 0.
local s = import '../series.libsonnet';

{
  local slas = [sla for sla in $._config.slas if sla.cost != null],
  local comparing = [sla for sla in slas if sla.cost.increase != null || sla.cost.perCallIncrease != null],
  local windows = std.set([sla.cost for sla in comparing], function(cost) cost.window),

  local sumOf(counter) = 'sum by (agent) (\n%s)' % s.indented(s.bridged(counter, $._config.bridge)),

  local sums = [{ record: s.costSum, expr: sumOf('handrail_cost_usd_total') }] + (
    if comparing == [] then [] else [
      { record: s.unpricedCallsSum, expr: sumOf('handrail_calls_without_cost_total') },
      {
        record: s.pricedCallsSum,
        expr: |||
          %s
          - on (agent)
          %s
        ||| % [sumOf('handrail_ended_calls_total'), sumOf('handrail_calls_without_cost_total')],
      },
    ]
  ),

  local ofDay = { record: s.costOfDay, expr: s.wholeIncreaseLong(s.costSum, '1d', '24m') },

  local ofWindow(cost) = [
    { record: s.cost(cost.window), expr: s.wholeWindow(s.costSum, cost.window, cost.step) },
    { record: s.pricedCalls(cost.window), expr: s.wholeWindow(s.pricedCallsSum, cost.window, cost.step) },
    { record: s.unpricedCalls(cost.window), expr: s.wholeWindow(s.unpricedCallsSum, cost.window, cost.step) },
    {
      record: s.costPerCall(cost.window),
      // Of less than half of the calls nothing follows for the others.
      expr: |||
        %(cost)s / (%(priced)s > 0)
        and on (agent)
        %(priced)s >= on (agent) %(unpriced)s
      ||| % {
        cost: s.cost(cost.window),
        priced: s.pricedCalls(cost.window),
        unpriced: s.unpricedCalls(cost.window),
      },
    },
    {
      record: s.spend(cost.window),
      // A call whose cost is not known is taken for an average one.
      expr: '%s * on (agent) (%s + on (agent) %s)' % [
        s.costPerCall(cost.window),
        s.pricedCalls(cost.window),
        s.unpricedCalls(cost.window),
      ],
    },
  ] + [
    // Half an hour either side of one window ago: an average over it bridges gaps of a missed evaluation.
    { record: pair[1], expr: 'avg_over_time(%s[1h] offset %s)' % [pair[0], cost.middle] }
    for pair in [
      [s.costPerCall(cost.window), s.costPerCallBefore(cost.window)],
      [s.spend(cost.window), s.spendBefore(cost.window)],
    ]
  ],

  local ratio(sla, record, now, before) = {
    record: record,
    labels: { sla: sla.name },
    expr: s.joined('(%s / (%s > 0) - 1)' % [now, before], sla.name),
  },

  local ratios = std.flattenArrays([
    local window = sla.cost.window;
    [
      ratio(sla, s.spendRatio, s.spend(window), s.spendBefore(window)),
      ratio(sla, s.costPerCallRatio, s.costPerCall(window), s.costPerCallBefore(window)),
    ]
    for sla in comparing
  ]),

  // Windows of days move slowly, and looking back over weeks costs much.
  local slow = { interval: '1m' },
  local days = if std.all([sla.cost.perDay == null for sla in slas]) then [] else [ofDay],
  prometheusRules+:: {
    groups+: if slas == [] then [] else
      [{ name: 'handrail-cost', rules: sums }] +
      $.inGroups('handrail-cost-day', days, slow) +
      std.flattenArrays([$.inGroups('handrail-cost-' + cost.window, ofWindow(cost), slow) for cost in windows]) +
      $.inGroups('handrail-cost-ratio', ratios, slow),
  },
}

// How many tokens are usual at this hour of the day, in all and for a call, and how far the last hour is above that.
local s = import '../series.libsonnet';

{
  local slas = $._config.slas,
  local baselines = std.set([sla.tokens.baselineDays for sla in slas]),

  local baseline(record, series, days) = { record: record, expr: s.usualAtThisHour(series, days) },

  local longest = baselines[std.length(baselines) - 1],

  local ready = {
    record: s.baselineReady,
    expr: |||
      count by (agent) (%s) > bool 0
      or on (agent)
      0 * %s
    ||| % [s.baseline(longest), s.tokensSum],
  },

  local ratio(record, series, usual, sla) = {
    record: record,
    labels: { sla: sla.name },
    expr: s.joined('(%s / (%s > 0) - 1)' % [series, usual], sla.name),
  },

  prometheusRules+:: {
    groups+: $.inFewGroups(
      'handrail-token-baseline',
      std.flattenArrays([
        [baseline(s.baseline(days), s.tokens, days), baseline(s.perCallBaseline(days), s.tokensPerCall, days)]
        for days in baselines
      ]) + [ready],
      // What is usual moves slowly, and looking back over days costs much.
      { interval: '1m' }
    ) + $.inGroups('handrail-token-ratio', std.flattenArrays([
      [
        ratio(s.tokenRatio, s.tokens, s.baseline(sla.tokens.baselineDays), sla),
        ratio(s.perCallRatio, s.tokensPerCall, s.perCallBaseline(sla.tokens.baselineDays), sla),
      ]
      for sla in slas
    ])),
  },
}

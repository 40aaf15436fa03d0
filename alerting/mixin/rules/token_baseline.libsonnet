// How many tokens are usual at this hour of the day, in all and for a call, and how far the last hour is above that.
local s = import '../series.libsonnet';

{
  local slas = $._config.slas,
  local baselines = std.set([sla.tokens.baselineDays for sla in slas]),

  // Half an hour either side of the same hour: an average over it bridges gaps of a missed evaluation.
  local hourOfDay(series, daysAgo) =
    'label_replace(avg_over_time(%s[1h] offset %dh30m), "lag", "%dd", "", "")' % [series, 24 * daysAgo - 1, daysAgo],

  // The label `lag` only keeps the days apart until they are aggregated.
  local sameHourOfDays(series, days) =
    std.join('\n  or\n  ', [hourOfDay(series, day) for day in std.range(1, days)]),

  local baseline(record, series, days) = {
    record: record,
    // The median, so that one wild day does not move it; nothing until three days are known.
    expr: |||
      quantile by (agent) (
        0.5,
        %(days)s
      )
      and on (agent)
      count by (agent) (
        %(days)s
      ) >= 3
    ||| % { days: sameHourOfDays(series, days) },
  },

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

// How many tokens are usual at this hour of the day, and how far the last hour is above that.
local s = import '../series.libsonnet';

{
  local slas = $._config.slas,
  local baselines = std.set([sla.tokens.baselineDays for sla in slas]),

  // Half an hour either side of the same hour: an average over it bridges gaps of a missed evaluation.
  local hourOfDay(daysAgo) =
    'label_replace(avg_over_time(%s[1h] offset %dh30m), "lag", "%dd", "", "")' % [s.tokens, 24 * daysAgo - 1, daysAgo],

  // The label `lag` only keeps the days apart until they are aggregated.
  local sameHourOfDays(days) = std.join('\n  or\n  ', [hourOfDay(day) for day in std.range(1, days)]),

  local baseline(days) = {
    record: s.baseline(days),
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
    ||| % { days: sameHourOfDays(days) },
  },

  local ratio(sla) = {
    record: s.tokenRatio,
    labels: { sla: sla.name },
    expr: s.joined('(%s / (%s > 0) - 1)' % [s.tokens, s.baseline(sla.tokens.baselineDays)], sla.name),
  },

  prometheusRules+:: {
    groups+: [{
      name: 'handrail-token-baseline',
      rules: [baseline(days) for days in baselines] + [ratio(sla) for sla in slas],
    }],
  },
}

// Executions that n8n counted as ended and the exporter did not see: not saved, pruned, or hidden from its key.
local s = import '../series.libsonnet';

{
  // n8n knows no other end that it counts: canceled is part of failed, crashed is in neither, waiting is no end.
  // Both begin in the same evaluation: what one of them counted before the other was there has nothing to be compared with.
  local ended = |||
    (
      sum by (source) ({job="n8n", __name__=~"n8n_workflow_(success|failed)_total"})
      or
      0 * sum by (source) (up{job="n8n"} == 1)
    )
    and on (source)
    (
      sum by (source) (handrail_source_executions_total)
      or
      last_over_time(%s:total[1d])
    )
  ||| % s.executionsEnded,
  local seen = |||
    sum by (source) (handrail_source_executions_total{status=~"success|error|canceled"})
    and on (source)
    last_over_time(%s:total[1d])
  ||| % s.executionsEnded,

  // A counter that no restart sets back, from 0 on: what the last evaluation knew and whole events since then. n8n begins
  // at nothing with each start, and a series' first sample is an event. The total stands before the sum it compares
  // with, so it still reads the one of the evaluation before; a day back, over any gap of Prometheus.
  local total(name, counter) = [
    {
      record: name + ':total',
      expr: |||
        last_over_time(%(name)s:total[1d])
        + on (source) (
          (
            (
              %(now)s
            )
            - on (source)
            last_over_time(%(name)s:sum[1d])
          ) >= 0
          or
          %(now)s
        )
        or on (source)
        0 * (
          %(now)s
        )
      ||| % { now: std.strReplace(s.trimmed(counter), '\n', '\n      '), name: name },
    },
    { record: name + ':sum', expr: counter },
  ],

  // An execution is seen a poll and a scrape after it ended. What n8n said that long ago, less what is seen now, is the
  // least that is missing; what n8n says now, less what was seen then, is the most. Both are exact as soon as nothing ends
  // for that long, so the tightest of ten minutes is taken.
  local lag = $._config.n8nLag,
  local bounds = [
    {
      record: s.executionsMissingLeast,
      expr: '%s:total offset %s - on (source) %s:total' % [s.executionsEnded, lag, s.executionsSeen],
    },
    {
      record: s.executionsMissingMost,
      expr: '%s:total - on (source) %s:total offset %s' % [s.executionsEnded, s.executionsSeen, lag],
    },
  ],

  local unseen = {
    record: s.executionsUnseen,
    // The least now above the most an hour ago is never more than what is true. An n8n that ended nothing in an hour in
    // which executions were seen does not count workflows at all, and must not claim that both agree.
    expr: |||
      clamp_min(
        max_over_time(%(least)s[10m])
        - on (source) (
          min_over_time(%(most)s[10m] offset 1h)
          or
          min_over_time(%(most)s[1d] offset 1h)
          or
          0 * %(most)s
        ),
        0
      )
      unless on (source)
      (
        max_over_time(%(ended)s:total[1h]) == min_over_time(%(ended)s:total[1h])
        and on (source)
        max_over_time(%(seen)s:total[1h]) > min_over_time(%(seen)s:total[1h])
      )
    ||| % {
      least: s.executionsMissingLeast,
      most: s.executionsMissingMost,
      ended: s.executionsEnded,
      seen: s.executionsSeen,
    },
  },

  prometheusRules+:: {
    groups+: if $._config.n8nMetrics == [] then [] else [{
      name: 'handrail-n8n-crosscheck',
      rules: total(s.executionsEnded, ended) + total(s.executionsSeen, seen) + bounds + [unseen],
    }],
  },
}

// How many calls took longer than a limit, how long a call takes, and how long is usual at this hour of the day.
local s = import '../series.libsonnet';

{
  local percentiles = [sla for sla in $._config.slas if sla.percentiles != null],
  local slowdowns = [sla for sla in $._config.slas if sla.slowdown != null],
  local limits = std.set(
    std.flattenArrays([sla.percentiles.limits for sla in percentiles]), function(limit) limit.threshold
  ),
  local baselines = std.set([sla.slowdown.baselineDays for sla in slowdowns]),
  // The hour is what the baseline is made of.
  local slowdownWindows = std.set([sla.slowdown.window for sla in slowdowns] + ['1h' for day in baselines]),
  local windows = std.setUnion(std.set([sla.percentiles.window for sla in percentiles]), slowdownWindows),

  local sumOf(series) = 'sum by (agent) (\n%s)' % s.indented(s.bridged(series, $._config.bridge)),
  local calls = sumOf('handrail_call_duration_seconds_count'),

  // Prometheus 3 writes a bound of 8 as 8.0.
  local bound(seconds) = std.strReplace(seconds, '.', '\\\\.') + (if std.member(seconds, '.') then '' else '(\\\\.0)?'),

  local sums = [{ record: s.timedCallsSum, expr: calls }] + [
    {
      record: s.slowerCallsSum,
      labels: { threshold: limit.threshold },
      // The limit is a bound of the histogram, so this counts calls and estimates nothing.
      expr: |||
        %s
        - on (agent)
        %s
      ||| % [
        calls,
        sumOf('handrail_call_duration_seconds_bucket{le=~"%s"}' % bound(limit.thresholdSeconds)),
      ],
    }
    for limit in limits
  ] + (if slowdowns == [] then [] else [{ record: s.durationSum, expr: sumOf('handrail_call_duration_seconds_sum') }]),

  local mean(window) = {
    record: s.meanDuration(window),
    expr: |||
      (
      %s)
      / on (agent)
      (%s > 0)
    ||| % [s.indented(s.wholeIncrease(s.durationSum, window)), s.timedCalls(window)],
  },

  // Calls and slower calls of one window are of one moment, so they stand in one group.
  local ofWindow(window) =
    [{ record: s.timedCalls(window), expr: s.wholeIncrease(s.timedCallsSum, window) }] +
    (if limits == [] then [] else [
       { record: s.slowerCalls(window), expr: s.wholeIncrease(s.slowerCallsSum, window) },
     ]) +
    (if std.member(slowdownWindows, window) then [mean(window)] else []),

  local ratios = [
    {
      record: s.slowerRatio,
      labels: { sla: sla.name, limit: limit.name },
      expr: s.joined(|||
        %s{threshold="%s"}
        / on (agent)
        (%s > 0)
      ||| % [s.slowerCalls(sla.percentiles.window), limit.threshold, s.timedCalls(sla.percentiles.window)], sla.name),
    }
    for sla in percentiles
    for limit in sla.percentiles.limits
  ] + [
    {
      record: s.durationRatio,
      labels: { sla: sla.name },
      expr: s.joined('(%s / (%s > 0) - 1)' % [
        s.meanDuration(sla.slowdown.window),
        s.durationBaseline(sla.slowdown.baselineDays),
      ], sla.name),
    }
    for sla in slowdowns
  ],

  prometheusRules+:: {
    groups+: if windows == [] then [] else
      $.inFewGroups('handrail-latency', sums) +
      std.flattenArrays([$.inGroups('handrail-latency-' + window, ofWindow(window)) for window in windows]) +
      (if slowdowns == [] then [] else $.inFewGroups(
         'handrail-latency-baseline',
         [{ record: s.durationBaseline(days), expr: s.usualAtThisHour(s.meanDuration('1h'), days) } for days in baselines],
         // What is usual moves slowly, and looking back over days costs much.
         { interval: '1m' }
       )) +
      $.inGroups('handrail-latency-ratio', ratios),
  },
}

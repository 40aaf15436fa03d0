// Calls that take too long by a percentile, or longer than is usual at this hour of the day.
local s = import '../series.libsonnet';

{
  local duration(series) = s.number(series, 'humanizeDuration'),

  local aboveLimit(sla, limit) = {
    local calls = s.timedCalls(sla.percentiles.window),

    alert: 'AgentLatencyHigh',
    // A percentile above its limit is more calls above the limit than the percentile leaves: counted, not interpolated.
    expr: |||
      %s{sla="%s", limit="%s"} %s
      and on (agent)
      %s %s
    ||| % [
      s.slowerRatio,
      sla.name,
      limit.name,
      s.above(limit.share),
      calls,
      s.atLeast(sla.percentiles.minCalls),
    ],
    labels: { severity: 'critical', sla: sla.name, limit: limit.name },
    annotations: {
      summary: 'Too many calls of an agent take too long.',
      description: '{{ $labels.agent }}: {{ $value | humanizePercentage }} of ' + s.number(calls) +
                   ' calls of the last %s took longer than %s; the SLA is broken above %s (%s).' %
                   [sla.percentiles.window, limit.threshold, limit.percent, limit.name],
    },
  },

  local aboveUsual(sla) = {
    local limits = sla.slowdown,

    alert: 'AgentLatencyHigh',
    // Of a few calls one slow one is the mean: below min_calls nothing is said.
    expr: |||
      %s{sla="%s"} %s
      and on (agent)
      %s %s
    ||| % [
      s.durationRatio,
      sla.name,
      s.above(limits.increase),
      s.timedCalls(limits.window),
      s.atLeast(limits.minCalls),
    ],
    labels: { severity: 'warning', sla: sla.name, limit: 'usual' },
    annotations: {
      summary: 'Calls of an agent take far longer than usual at this hour.',
      description: '{{ $labels.agent }}: a call of the last ' + limits.window + ' took ' +
                   duration(s.meanDuration(limits.window)) + ' on average, {{ $value | humanizePercentage }} above the ' +
                   duration(s.durationBaseline(limits.baselineDays)) +
                   ' that are usual at this hour; the SLA is broken above ' + limits.percent + '.',
    },
  },

  local alerts(sla) =
    (if sla.percentiles == null then [] else [aboveLimit(sla, limit) for limit in sla.percentiles.limits]) +
    (if sla.slowdown == null then [] else [
       aboveUsual(sla),
       $.baselineNotReady(sla, 'latency', s.durationBaseline(sla.slowdown.baselineDays), 'AgentLatencyHigh'),
     ]),

  // What cannot be compared yet cannot alert; who relies on it should know. The alert that it is about stands in the text.
  baselineNotReady(sla, baseline, series, about):: {
    alert: 'AgentBaselineNotReady',
    expr: s.joined(|||
      (
        0 * %s
        unless on (agent)
        %s
      )
    ||| % [s.callsSum, series], sla.name),
    'for': '1h',
    labels: { severity: 'info', sla: sla.name, baseline: baseline },
    annotations: {
      summary: 'What is usual for an agent is not known yet.',
      description: '{{ $labels.agent }}: what is usual for its ' + baseline + ' is not known; ' + about +
                   ' compares nothing until then.',
    },
  },

  prometheusAlerts+:: {
    groups+: [
      {
        name: $.groupName('handrail-slow-', sla.name),
        rules: [$.withLinks(alert, '{{ $labels.agent | urlquery }}') for alert in alerts(sla)],
      }
      for sla in $._config.slas
      if sla.percentiles != null || sla.slowdown != null
    ],
  },
}

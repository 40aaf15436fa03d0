// An agent that should have been called and was not.
local s = import '../series.libsonnet';

{
  // Both are held against what its source is known to have had, not against the clock: while the source cannot be read
  // nothing new is said, and calls that it may have had and could not show may have been this agent's.
  local bySchedule(sla) = {
    alert: 'AgentSilent',
    expr: s.joined(|||
      (
        %(read)s - on (agent) %(due)s > %(grace)s
        unless on (agent)
        %(gap)s >= on (agent) %(due)s
      )
    ||| % { read: s.readUntil, due: s.callDue, grace: sla.silent.graceSeconds, gap: s.lastGap }, sla.name),
    labels: { severity: 'critical', sla: sla.name, basis: 'schedule' },
    annotations: {
      summary: 'An agent should have been called and was not.',
      description: '{{ $labels.agent }}: by its schedule a call is {{ $value | humanizeDuration }} late; ' +
                   'the SLA allows %s.' % sla.silent.grace,
    },
  },

  local byHistory(sla) = {
    alert: 'AgentSilent',
    expr: s.joined(|||
      (
        %(usual)s %(enough)s
        and on (agent)
        %(calls)s == 0
        and on (agent)
        time() - %(read)s <= %(grace)s
        unless on (agent)
        %(due)s
        unless on (agent)
        time() - %(gap)s <= 3600
        unless on (agent)
        time() - max by (agent) (handrail_newest_running_call_timestamp_seconds) <= 3600
        unless on (agent)
        (
          min by (agent) (min_over_time(handrail_agent_enabled[1h])) == 0
          or
          min by (agent) (min_over_time(handrail_agent_flag_enabled[1h])) == 0
        )
      )
    ||| % {
      usual: s.usualCalls,
      enough: s.atLeast(sla.silent.minCalls),
      calls: s.calls('1h'),
      read: s.readUntil,
      grace: sla.silent.graceSeconds,
      due: s.callDue,
      gap: s.lastGap,
    }, sla.name),
    labels: { severity: 'warning', sla: sla.name, basis: 'history' },
    annotations: {
      summary: 'An agent is not called at an hour at which it usually is.',
      description: '{{ $labels.agent }}: no call in the last hour; {{ $value | printf "%.0f" }} or more are usual at this ' +
                   'hour of the week.',
    },
  },

  // A group of its own: what is usual takes weeks of a test, in which the other alerts would be evaluated for nothing.
  prometheusAlerts+:: {
    groups+: [
      {
        name: $.groupName('handrail-silent-', sla.name),
        rules: [$.withLinks(alert, '{{ $labels.agent | urlquery }}') for alert in [bySchedule(sla), byHistory(sla)]],
      }
      for sla in $._config.slas
      if sla.silent != null
    ],
  },
}

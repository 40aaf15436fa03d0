// Answers that the agent itself doubts, and work that it hands to people.
local s = import '../series.libsonnet';

{
  local since(counter, window) =
    '(max by (agent) (max_over_time(%(c)s[%(w)s])) - max by (agent) (min_over_time(%(c)s[%(w)s])))' %
    { c: counter, w: window },

  local lowConfidence(sla) = {
    local low = since('handrail_low_confidence_calls_total', sla.confidence.window),
    local all = since('handrail_call_confidence_ratio_count', sla.confidence.window),

    alert: 'AgentLowConfidence',
    expr: s.joined(|||
      (
        %(low)s / (%(all)s %(enough)s)
        %(above)s
      )
    ||| % { low: low, all: all, enough: s.atLeast(sla.confidence.minAnswers), above: s.above(sla.confidence.share) }, sla.name),
    labels: { severity: 'warning', sla: sla.name },
    annotations: {
      summary: 'An agent doubts many of its own answers.',
      description: '{{ $labels.agent }}: {{ $value | humanizePercentage }} of its answers of the last ' +
                   sla.confidence.window + ' stated a confidence below ' + sla.handoff.percent + '; the SLA allows ' +
                   sla.confidence.percent + '.',
    },
  },

  local handoffsRising(sla) = {
    local lastHour = 'sum by (agent) (max_over_time(%(c)s[1h]) - min_over_time(%(c)s[1h]))' %
                     { c: 'handrail_handoffs_total' },

    alert: 'AgentHandoffsRising',
    // The counter is read from the receiver's table and only grows, so two looks at it are all that happened in between.
    expr: s.joined(|||
      (
        %(lastHour)s %(enough)s
        and on (agent)
        %(lastHour)s
        > on (agent)
        (
          %(factor)s / 168 * (
            sum by (agent) (handrail_handoffs_total offset 1h)
            - (sum by (agent) (handrail_handoffs_total offset 169h) or 0 * sum by (agent) (handrail_handoffs_total offset 1h))
          )
          or on (agent)
          0 * sum by (agent) (handrail_handoffs_total)
        )
      )
    ||| % { lastHour: lastHour, enough: s.atLeast(sla.handoff.minHandoffs), factor: sla.handoff.factor }, sla.name),
    labels: { severity: 'warning', sla: sla.name },
    annotations: {
      summary: 'An agent hands far more work to people than usual.',
      description: '{{ $labels.agent }}: {{ $value | printf "%.0f" }} hand-offs in the last hour, over ' +
                   sla.handoff.increase + ' more than in an average hour of the last 7 days.',
    },
  },

  agentAlerts+:: {
    answers(sla):: [lowConfidence(sla), handoffsRising(sla)],
  },
}

// The error budget of an SLA is spent too fast: several windows and rates, and a twin for agents with few calls.
local s = import '../series.libsonnet';

{
  local ratio(window) = '%s / (%s > 0)' % [s.errors(window), s.calls(window)],

  // The limit stays a product in the text, so that a reader finds the factor and the objective in it.
  local burning(objective, rate) = |||
    (
      %(long)s %(above)s
      and
      %(short)s %(above)s
      and
      %(calls)s %(enough)s
    )
  ||| % {
    long: ratio(rate.long),
    short: ratio(rate.short),
    above: s.above('(%s * (1 - %s))' % [rate.factor, objective.availability]),
    calls: s.calls(rate.long),
    enough: s.atLeast(objective.minCalls),
  },

  local anyOf(objective, severity) =
    std.join('or\n', [burning(objective, rate) for rate in objective.burnRates if rate.severity == severity]),

  local remaining = '{{ with printf "%s{agent=%%q}" $labels.agent | query }}' % s.budgetRemaining +
                    '{{ . | first | value | humanizePercentage }}{{ end }}',

  local burn(sla, severity, delay) = {
    alert: 'AgentErrorBudgetBurn',
    expr: s.joined('(\n%s)' % anyOf(sla.objective, severity), sla.name),
    'for': delay,
    labels: { severity: severity, sla: sla.name, pace: if severity == 'critical' then 'fast' else 'slow' },
    annotations: {
      summary: 'The error budget of an agent is spent too fast.',
      description: '{{ $labels.agent }}: {{ $value | humanizePercentage }} of its calls failed lately; at this pace the ' +
                   'budget of %s (availability %s) does not last. Left: ' % [sla.objective.window, sla.objective.percent] +
                   remaining + '.',
    },
  },

  // An agent with a handful of calls a day never has enough of them in an hour, so nothing above would ever see it.
  local quiet(sla) = {
    alert: 'AgentErrorBudgetBurn',
    expr: s.joined(|||
      (
        %(ratio)s > 0.5
        and
        %(errors)s %(three)s
        unless
        %(busy)s %(enough)s
      )
    ||| % {
      ratio: ratio('1d'),
      errors: s.errors('1d'),
      three: s.atLeast(3),
      busy: s.calls('1h'),
      enough: s.atLeast(sla.objective.minCalls),
    }, sla.name),
    'for': '5m',
    labels: { severity: 'critical', sla: sla.name, pace: 'quiet' },
    annotations: {
      summary: 'A quiet agent fails most of its calls.',
      description: '{{ $labels.agent }}: {{ $value | humanizePercentage }} of its few calls of the last 24 hours failed. Left of the budget: ' +
                   remaining + '.',
    },
  },

  agentAlerts+:: {
    budget(sla):: [burn(sla, 'critical', '2m'), burn(sla, 'warning', '15m'), quiet(sla)],
  },
}

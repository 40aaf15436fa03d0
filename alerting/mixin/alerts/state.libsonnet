// What is worth knowing about an agent and breaks no SLA.
local s = import '../series.libsonnet';

{
  local state(name, expr, summary, description, delay=null) = {
    alert: name,
    expr: |||
      %s
      * on (agent) group_left (sla, owner)
      %s
    ||| % [expr, s.agentInfo],
    [if delay != null then 'for']: delay,
    labels: { severity: 'info' },
    annotations: { summary: summary, description: description },
  },

  local alerts = [
    state(
      'AgentDisabled',
      // 1 while it is off, by its workflow or by its flag: whichever says so.
      '(1 - min by (agent) (handrail_agent_enabled or handrail_agent_flag_enabled) == 1)',
      'An agent is switched off.',
      '{{ $labels.agent }} is switched off, by a person, by an alert or where it runs. Its other alerts are held back.'
    ),
    state(
      'AgentWorkflowChanged',
      |||
        (
          max by (agent) (max_over_time(handrail_workflow_changes_total[1h]))
          - max by (agent) (min_over_time(handrail_workflow_changes_total[1h]))
          > 0
        )
      |||,
      "An agent's workflow was changed.",
      '{{ $labels.agent }}: {{ $value | printf "%.0f" }} new versions of its workflow went live in the last hour.'
    ),
    state(
      'AgentTokenBaselineNotReady',
      // Without a baseline AgentTokenUsageHigh cannot fire; who relies on it should know.
      '(%s == 0)' % s.baselineReady,
      'What an agent usually uses is not known yet.',
      '{{ $labels.agent }} has fewer than three days of tokens at this hour; AgentTokenUsageHigh is silent until then.',
      '1h'
    ),
  ],

  prometheusAlerts+:: {
    groups+: [{
      name: 'handrail-agent-state',
      rules: [$.withLinks(alert, '{{ $labels.agent | urlquery }}') for alert in alerts],
    }],
  },
}

// One execution that does not end, or that does more than any sane one.
local s = import '../series.libsonnet';

{
  local stuck(sla) = {
    alert: 'AgentStuck',
    // 0 is no execution that runs. One that waits on purpose is not among them.
    expr: s.joined(|||
      (
        time() - (max by (agent) (handrail_oldest_running_call_timestamp_seconds) > 0) > %s
      )
    ||| % sla.stuck.afterSeconds, sla.name),
    labels: { severity: 'warning', sla: sla.name },
    annotations: {
      summary: 'An execution of an agent does not end.',
      description: '{{ $labels.agent }}: the oldest execution has been running for {{ $value | humanizeDuration }}; ' +
                   'the SLA allows %s.' % sla.stuck.after,
    },
  },

  // What a running execution has done so far nobody can see; it is known when it ends, or when it is stopped.
  local runaway(sla, what, metric, limit) = {
    alert: 'AgentRunawayLoop',
    expr: s.joined(|||
      (
        max by (agent) (%s) > %d
      )
    ||| % [metric, limit], sla.name),
    labels: { severity: 'critical', sla: sla.name, limit: std.strReplace(what, ' ', '_') },
    annotations: {
      summary: 'One execution of an agent did far too much.',
      description: '{{ $labels.agent }}: one execution took {{ $value | printf "%.0f" }} ' + what +
                   '; the SLA takes more than %d for a loop.' % limit,
    },
  },

  agentAlerts+:: {
    runs(sla):: [
      stuck(sla),
      runaway(sla, 'model calls', 'handrail_execution_model_calls_max', sla.runaway.modelCalls),
      runaway(sla, 'tool calls', 'handrail_execution_tool_calls_max', sla.runaway.toolCalls),
      runaway(sla, 'tokens', 'handrail_execution_tokens_max', sla.runaway.tokens),
    ],
  },
}

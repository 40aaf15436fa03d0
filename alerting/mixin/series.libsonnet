// The names of recorded series, and the two expressions that every rule about agents is made of.
{
  agentInfo: 'agent:handrail_agent_info:bridged',
  callsSum: 'agent:handrail_calls:sum',
  errorsSum: 'agent:handrail_call_errors:sum',
  tokensSum: 'agent:handrail_tokens:sum',
  calls(window):: 'agent:handrail_calls:increase' + window,
  errors(window):: 'agent:handrail_call_errors:increase' + window,
  budgetRemaining: 'agent:handrail_error_budget_remaining:ratio',
  errorRatio: 'agent:handrail_call_error_ratio:sla_window',
  tokens: 'agent:handrail_tokens:increase1h',
  baseline(days):: 'agent:handrail_tokens_baseline:median%dd' % days,
  // Of an agent, whether the longest baseline that any SLA asks for is known: 1 or 0.
  baselineReady: 'agent:handrail_tokens_baseline:ready',
  meteredCallsSum: 'agent:handrail_metered_calls:sum',
  meteredCalls: 'agent:handrail_metered_calls:increase1h',
  tokensPerCall: 'agent:handrail_tokens_per_call:increase1h',
  perCallBaseline(days):: 'agent:handrail_tokens_per_call_baseline:median%dd' % days,
  perCallRatio: 'agent:handrail_tokens_per_call_increase_ratio:sla_baseline',
  tokenRatio: 'agent:handrail_token_increase_ratio:sla_baseline',

  // Calls of an agent that ended before this time are counted; when its source last had calls that it could not show;
  // when the first call after its last one is due, by a schedule.
  readUntil: 'agent:handrail_read_until:timestamp_seconds',
  lastGap: 'agent:handrail_coverage_gap_last:timestamp_seconds',
  callDue: 'agent:handrail_call_due:timestamp_seconds',
  usualCalls: 'agent:handrail_calls_usual:increase1h',

  executionsEnded: 'source:handrail_n8n_executions_ended',
  executionsSeen: 'source:handrail_n8n_executions_seen',
  executionsMissingLeast: 'source:handrail_n8n_executions_missing:least',
  executionsMissingMost: 'source:handrail_n8n_executions_missing:most',
  executionsUnseen: 'source:handrail_n8n_executions_unseen:increase1h',

  // Without the end of the last line. The character behind it marks the end of the text: std.rstripChars would look at
  // each character in turn, and took half of the time that rendering took.
  trimmed(text):: std.strReplace(std.strReplace(text + '\u0000', '\n\u0000', ''), '\u0000', ''),

  // The text with each <name> replaced. std.format looks at each character in turn: rendering took twice as long.
  filled(text, values):: std.foldl(
    function(filled, name) std.strReplace(filled, '<' + name + '>', values[name]), std.objectFields(values), text
  ),

  // Text of several lines, two spaces further in.
  indented(text):: '  ' + std.strReplace(self.trimmed(text), '\n', '\n  ') + '\n',

  // A counter of the exporter as it stands, and while the exporter does not answer, as it last stood: a restart must
  // neither resolve an alert nor begin it anew.
  bridged(counter, bridge):: self.filled(|||
    <counter>
    or
    (last_over_time(<counter>[<bridge>]) unless on (job, instance) up == 1)
  |||, { counter: counter, bridge: bridge }),

  // Gives a vector by agent the labels sla and owner, and keeps only the agents that are held to this SLA.
  joined(expr, sla):: self.filled(|||
    <expr>
    * on (agent) group_left (sla, owner)
    <info>{sla="<sla>"}
  |||, { expr: $.trimmed(expr), info: $.agentInfo, sla: sla }),

  // Whole events, not extrapolated ones. increase() stretches every series by its own factor, so that one failed call
  // of fifty becomes anything from 1.9% to 2.1% and an SLA of 2% is a matter of luck; the last value minus the first
  // is exact, and the counters come from a ledger that survives restarts. Only if the ledger was lost, which shows as
  // a reset, is increase() the lesser evil. `counter` is already summed by agent: a model's series that begins at 3
  // then raises the sum by 3, while increase() of that series alone would never see those calls.
  wholeIncrease(counter, window):: self.filled(|||
    (max_over_time(<counter>[<window>]) - min_over_time(<counter>[<window>]))
    and
    resets(<counter>[<window>]) == 0
    or
    increase(<counter>[<window>])
  |||, { counter: counter, window: window }),

  // The same for windows of hours and weeks, where reading every sample would cost too much. The counter only grows, so
  // its first known value is the smallest; `step` is how closely that is looked for when there is none at the window's
  // beginning, because the agent is younger or Prometheus was away. A lost ledger begins at 0: all that it holds is new.
  wholeIncreaseLong(counter, window, step):: self.filled(|||
    (
      <counter> - (<counter> offset <window> or min_over_time(<counter>[<window>:<step>]))
    ) >= 0
    or
    <counter>
  |||, { counter: counter, window: window, step: step }),

  // 0.3 is not a binary fraction: 52000 / 40000 - 1 is 0.30000000000000004. A billionth more than the limit is less
  // than one event of any real agent and more than any rounding, so the limit itself stays silent and one more fires.
  above(limit):: '> %s + 1e-9' % limit,

  // Counts are whole except after a reset (see wholeIncrease); half an event below the limit is right for both.
  atLeast(count):: '> %s' % if count > 0 then '%d.5' % (count - 1) else '-0.5',
}

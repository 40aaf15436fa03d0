// The names of recorded series, and the two expressions that every rule about agents is made of.
{
  agentInfo: 'agent:handrail_agent_info:bridged',
  callsSum: 'agent:handrail_calls:sum',
  errorsSum: 'agent:handrail_call_errors:sum',
  tokensSum: 'agent:handrail_tokens:sum',
  // A sum as it stood every five minutes: its first known value of weeks is found in these, without reading every sample.
  sparse(sum):: std.strReplace(sum, ':sum', ':every5m'),
  sparseEvery: '5m',
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

  // Calls that have a duration, by agent; how long they took, and how many of them took longer than the label `threshold`.
  timedCallsSum: 'agent:handrail_timed_calls:sum',
  timedCalls(window):: 'agent:handrail_timed_calls:increase' + window,
  slowerCallsSum: 'agent:handrail_slower_calls:sum',
  slowerCalls(window):: 'agent:handrail_slower_calls:increase' + window,
  slowerRatio: 'agent:handrail_slower_call_ratio:sla_window',
  durationSum: 'agent:handrail_call_duration_seconds:sum',
  meanDuration(window):: 'agent:handrail_call_duration_seconds:mean' + window,
  durationBaseline(days):: 'agent:handrail_call_duration_seconds_baseline:median%dd' % days,
  durationRatio: 'agent:handrail_call_duration_increase_ratio:sla_baseline',

  // What is known of the cost, of how many calls, and of how many it is not; together an estimate for all calls, and the
  // same of the window before.
  costSum: 'agent:handrail_cost_usd:sum',
  pricedCallsSum: 'agent:handrail_priced_calls:sum',
  unpricedCallsSum: 'agent:handrail_unpriced_calls:sum',
  costOfDay: 'agent:handrail_cost_usd:last1d',
  cost(window):: 'agent:handrail_cost_usd:whole' + window,
  pricedCalls(window):: 'agent:handrail_priced_calls:whole' + window,
  unpricedCalls(window):: 'agent:handrail_unpriced_calls:whole' + window,
  costPerCall(window):: 'agent:handrail_cost_per_call_usd:whole' + window,
  costPerCallBefore(window):: 'agent:handrail_cost_per_call_usd:before' + window,
  spend(window):: 'agent:handrail_spend_usd:whole' + window,
  spendBefore(window):: 'agent:handrail_spend_usd:before' + window,
  spendRatio: 'agent:handrail_spend_increase_ratio:sla_window',
  costPerCallRatio: 'agent:handrail_cost_per_call_increase_ratio:sla_window',

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

  // The same for a sum whose sparse series is recorded. What began minutes ago may be in that later, or not yet.
  wholeIncreaseOfSum(sum, window):: self.filled(|||
    (
      <sum>
      - (
        <sum> offset <window>
        or
        min_over_time(<sparse>[<window>]) < min_over_time(<sum>[10m])
        or
        min_over_time(<sum>[10m])
      )
    ) >= 0
    or
    <sum>
  |||, { sum: sum, sparse: $.sparse(sum), window: window }),

  // How much a counter grew in a window that is known from its beginning to its end; nothing of a younger agent, and
  // nothing after the ledger was lost. Up to an hour longer where nothing was recorded just then.
  wholeWindow(counter, window, step):: self.filled(|||
    (
      <counter> - last_over_time(<counter>[1h] offset <window>)
    ) >= 0
    unless
    resets(<counter>[<window>:<step>]) > 0
  |||, { counter: counter, window: window, step: step }),

  // What is usual for a series at this hour of the day, from so many days: the median, so that one wild day does not
  // move it; nothing until three days are known. The label `lag` only keeps the days apart until they are aggregated.
  usualAtThisHour(series, days):: (
    // Half an hour either side of the same hour: an average over it bridges gaps of a missed evaluation.
    local hourOfDay(daysAgo) =
      'label_replace(avg_over_time(%s[1h] offset %dh30m), "lag", "%dd", "", "")' % [series, 24 * daysAgo - 1, daysAgo];
    |||
      quantile by (agent) (
        0.5,
        %(days)s
      )
      and on (agent)
      count by (agent) (
        %(days)s
      ) >= 3
    ||| % { days: std.join('\n  or\n  ', [hourOfDay(day) for day in std.range(1, days)]) }
  ),

  // A number out of another series of the same agent, for a text.
  number(series, shown='printf "%.0f"')::
    '{{ with printf "' + series + '{agent=%q}" $labels.agent | query }}{{ . | first | value | ' + shown + ' }}{{ end }}',

  // 0.3 is not a binary fraction: 52000 / 40000 - 1 is 0.30000000000000004. A billionth more than the limit is less
  // than one event of any real agent and more than any rounding, so the limit itself stays silent and one more fires.
  above(limit):: '> %s + 1e-9' % limit,

  // Counts are whole except after a reset (see wholeIncrease); half an event below the limit is right for both.
  atLeast(count):: '> %s' % if count > 0 then '%d.5' % (count - 1) else '-0.5',
}

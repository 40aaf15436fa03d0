// The names of recorded series, and the two expressions that every rule about agents is made of.
{
  agentInfo: 'agent:handrail_agent_info:bridged',
  callsSum: 'agent:handrail_calls:sum',
  errorsSum: 'agent:handrail_call_errors:sum',
  tokensSum: 'agent:handrail_tokens:sum',
  calls(window):: 'agent:handrail_calls:increase' + window,
  errors(window):: 'agent:handrail_call_errors:increase' + window,
  errorRatio: 'agent:handrail_call_error_ratio:sla_window',
  tokens: 'agent:handrail_tokens:increase1h',
  baseline(days):: 'agent:handrail_tokens_baseline:median%dd' % days,
  tokenRatio: 'agent:handrail_token_increase_ratio:sla_baseline',

  // Gives a vector by agent the labels sla and owner, and keeps only the agents that are held to this SLA.
  joined(expr, sla):: |||
    %s
    * on (agent) group_left (sla, owner)
    %s{sla="%s"}
  ||| % [std.rstripChars(expr, '\n'), $.agentInfo, sla],

  // Whole events, not extrapolated ones. increase() stretches every series by its own factor, so that one failed call
  // of fifty becomes anything from 1.9% to 2.1% and an SLA of 2% is a matter of luck; the last value minus the first
  // is exact, and the counters come from a ledger that survives restarts. Only if the ledger was lost, which shows as
  // a reset, is increase() the lesser evil. `counter` is already summed by agent: a model's series that begins at 3
  // then raises the sum by 3, while increase() of that series alone would never see those calls.
  wholeIncrease(counter, window):: |||
    (max_over_time(%(c)s[%(w)s]) - min_over_time(%(c)s[%(w)s]))
    and
    resets(%(c)s[%(w)s]) == 0
    or
    increase(%(c)s[%(w)s])
  ||| % { c: counter, w: window },

  // 0.3 is not a binary fraction: 52000 / 40000 - 1 is 0.30000000000000004. A billionth more than the limit is less
  // than one event of any real agent and more than any rounding, so the limit itself stays silent and one more fires.
  above(limit):: '> %s + 1e-9' % limit,

  // Counts are whole except after a reset (see wholeIncrease); half an event below the limit is right for both.
  atLeast(count):: '> %s' % if count > 0 then '%d.5' % (count - 1) else '-0.5',
}

// Which agents there are, and how many calls they made and failed.
local s = import '../series.libsonnet';

{
  local slas = $._config.slas,
  local windows = std.set([sla.errors.window for sla in slas]),

  local known = [{
    record: s.agentInfo,
    // An agent that the exporter no longer lists is gone, and its alerts end at once. If the exporter itself does not
    // answer (up is 0 or missing), nothing is known about its agents, so the last answer holds for a while: a restart
    // must not resolve an alert. topk: while an agent's owner changes there may be two answers, and a join takes one.
    expr: |||
      max by (agent, sla, owner) (
        topk by (agent) (
          1,
          handrail_agent_info
          or on (agent)
          (last_over_time(handrail_agent_info[%s]) unless on (job, instance) up == 1)
        )
      )
    ||| % $._config.bridge,
  }],

  local sums = [
    // Not handrail_calls_total, which has the model as a label: the exporter shows a new series at 0 once, so that for one
    // scrape the first calls with a new model would be missing beside their errors. Nor the durations, among which there
    // is no crashed call. These two have no such label, every call is in the one and every failed call in the other, and
    // both are of one scrape.
    {
      record: s.callsSum,
      expr: 'sum by (agent) (\n%s)' % s.indented(s.bridged('handrail_ended_calls_total', $._config.bridge)),
    },
    {
      record: s.errorsSum,
      // Without the second half an agent's first error would have nothing before it to be counted from.
      expr: |||
        sum by (agent) (
        %s)
        or
        0 * %s
      ||| % [s.indented(s.bridged('handrail_call_errors_total', $._config.bridge)), s.callsSum],
    },
  ],

  local increases = std.flattenArrays([
    [
      { record: s.calls(window), expr: s.wholeIncrease(s.callsSum, window) },
      { record: s.errors(window), expr: s.wholeIncrease(s.errorsSum, window) },
    ]
    for window in windows
  ]),

  local ratios = [
    {
      record: s.errorRatio,
      labels: { sla: sla.name },
      // An agent without calls has no error rate; 0/0 would be NaN and spoil every average taken over it.
      expr: s.joined(|||
        %s
        /
        (%s > 0)
      ||| % [s.errors(sla.errors.window), s.calls(sla.errors.window)], sla.name),
    }
    for sla in slas
  ],

  // One group, because its rules run one after the other at one timestamp: calls and errors are of one scrape. Of many
  // windows the later ones have groups of their own, in which both still are.
  local together = std.length(known + sums) + 16,
  prometheusRules+:: {
    groups+: $.inFewGroups('handrail-agents', known + sums + increases, first=together) +
             $.inGroups('handrail-error-ratio', ratios),
  },
}

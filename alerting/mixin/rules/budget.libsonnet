// Calls and errors over every window that an error budget is looked at through, and what is left of each budget.
local s = import '../series.libsonnet';

{
  local config = $._config,
  // What the error rate's own windows record already must not be recorded twice.
  local recorded = std.set([sla.errors.window for sla in config.slas]),
  local windows = [w for w in config.budgetWindows if !std.member(recorded, w.window)],

  local increases = std.flattenArrays([
    [
      { record: s.calls(w.window), expr: s.wholeIncreaseLong(s.callsSum, w.window, w.step) },
      { record: s.errors(w.window), expr: s.wholeIncreaseLong(s.errorsSum, w.window, w.step) },
    ]
    for w in windows
  ]),

  local remaining(sla) = {
    record: s.budgetRemaining,
    labels: { sla: sla.name },
    // Weighted by calls, not by time: a minute of a thousand calls counts a thousand times as much as one of one call.
    expr: s.joined(|||
      (
        1 - %s / (%s > 0) / (1 - %s)
      )
    ||| % [s.errors(sla.objective.window), s.calls(sla.objective.window), sla.objective.availability], sla.name),
  },

  // Once a minute is often enough for windows of minutes to weeks, and each of them is looked up at up to fifty points.
  prometheusRules+:: {
    groups+: $.inGroups('handrail-budget-windows', increases, { interval: '1m' }) +
             $.inGroups('handrail-budget', [remaining(sla) for sla in config.slas], { interval: '1m' }),
  },
}

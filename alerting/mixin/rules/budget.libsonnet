// Calls and errors over every window that an error budget is looked at through, and what is left of each budget.
local s = import '../series.libsonnet';

{
  local config = $._config,
  // What the error rate's own windows record already must not be recorded twice.
  local recorded = std.set([sla.errors.window for sla in config.slas]),
  local windows = [w for w in config.budgetWindows if !std.member(recorded, w.window)],

  local sparse = [{ record: s.sparse(sum), expr: sum } for sum in [s.callsSum, s.errorsSum]],

  // A day or longer is looked through in the sparse series: of a thousand agents, every sample of four weeks would take
  // seconds each minute.
  local grown(sum, w) =
    if std.endsWith(w.window, 'd') || std.endsWith(w.window, 'w') then s.wholeIncreaseOfSum(sum, w.window)
    else s.wholeIncreaseLong(sum, w.window, w.step),
  local increases = std.flattenArrays([
    [
      { record: s.calls(w.window), expr: grown(s.callsSum, w) },
      { record: s.errors(w.window), expr: grown(s.errorsSum, w) },
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
    groups+: [{ name: 'handrail-budget-sums', interval: s.sparseEvery, rules: sparse }] +
             $.inGroups('handrail-budget-windows', increases, { interval: '1m' }) +
             $.inGroups('handrail-budget', [remaining(sla) for sla in config.slas], { interval: '1m' }),
  },
}

// An agent that costs too much in a day, or more than in the window before.
local s = import '../series.libsonnet';

{
  local dollars(series, digits) = s.number(series, 'printf "%%.%df"' % digits),

  local ofDay(sla) = {
    alert: 'AgentCostHigh',
    // What is known is the least that was spent, so calls without a known cost can only make it late.
    expr: s.joined('(%s %s)' % [s.costOfDay, s.above(sla.cost.perDay.usd)], sla.name),
    labels: { severity: 'warning', sla: sla.name, per: 'day' },
    annotations: {
      summary: 'An agent costs more in a day than it may.',
      description: '{{ $labels.agent }}: {{ $value | printf "%.2f" }} USD in the last 24 hours; the SLA allows ' +
                   sla.cost.perDay.text + '.',
    },
  },

  local rising(sla, per, limit, ratio, now, before, digits, what) = {
    alert: 'AgentCostHigh',
    // Where little was spent, a few cents more are a large percentage.
    expr: |||
      %s{sla="%s"} %s
      and on (agent)
      %s > %s
    ||| % [ratio, sla.name, s.above(limit.ratio), s.spendBefore(sla.cost.window), sla.cost.minCost],
    labels: { severity: 'warning', sla: sla.name, per: per },
    annotations: {
      summary: 'An agent costs far more than before.',
      description: '{{ $labels.agent }}: ' + dollars(now, digits) + ' USD ' + what + ' in the last ' + sla.cost.window +
                   ', {{ $value | humanizePercentage }} above the ' + dollars(before, digits) + ' USD of the ' +
                   sla.cost.window + ' before; the SLA is broken above ' + limit.percent + '. Calls without a known ' +
                   'cost, ' + s.number(s.unpricedCalls(sla.cost.window)) + ' of them, are taken for average ones.',
    },
  },

  local alerts(sla) =
    local cost = sla.cost, window = cost.window;
    (if cost.perDay == null then [] else [ofDay(sla)]) +
    (if cost.increase == null then [] else [
       rising(sla, 'window', cost.increase, s.spendRatio, s.spend(window), s.spendBefore(window), 2, 'in all'),
     ]) +
    (if cost.perCallIncrease == null then [] else [
       rising(
         sla,
         'call',
         cost.perCallIncrease,
         s.costPerCallRatio,
         s.costPerCall(window),
         s.costPerCallBefore(window),
         4,
         'for a call'
       ),
     ]) +
    (if cost.increase == null && cost.perCallIncrease == null then [] else [
       $.baselineNotReady(sla, 'cost', s.spendBefore(window), 'AgentCostHigh'),
     ]),

  prometheusAlerts+:: {
    groups+: [
      {
        name: $.groupName('handrail-spend-', sla.name),
        rules: [$.withLinks(alert, '{{ $labels.agent | urlquery }}') for alert in alerts(sla)],
      }
      for sla in $._config.slas
      if sla.cost != null
    ],
  },
}

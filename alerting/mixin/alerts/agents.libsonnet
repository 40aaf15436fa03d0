// The three alerts of an SLA, one group per SLA. The limits stand in the texts, so that a message explains itself.
local s = import '../series.libsonnet';

{
  local config = $._config,

  local number(series) = s.number(series),

  local slowCallStreak(sla) = {
    local calls = if sla.latency.consecutiveCalls == 1
    then 'a call took longer than %s' % sla.latency.threshold
    else 'at least %d calls in a row took longer than %s each' % [sla.latency.consecutiveCalls, sla.latency.threshold],

    alert: 'AgentSlowCallStreak',
    // Samples cannot tell the order of calls, so the exporter counts the streak and says when it last broke the SLA.
    // That is a level, not an event: a streak that begins and ends between two scrapes is seen all the same, a lost
    // scrape changes nothing, and an agent that fell idle resolves.
    expr: s.joined(|||
      (
        time() - max by (agent) (max_over_time(handrail_slow_streak_last_breach_timestamp_seconds[%s]) > 0) < %s
      )
    ||| % [sla.latency.hold, sla.latency.holdSeconds], sla.name),
    labels: { severity: 'critical', sla: sla.name },
    annotations: {
      summary: 'Calls of an agent are slow, several in a row.',
      description: '{{ $labels.agent }}: %s; last seen {{ $value | humanizeDuration }} ago.' % calls,
    },
  },

  local errorRatioHigh(sla) = {
    alert: 'AgentErrorRatioHigh',
    // The window is the delay already: a `for` on top of it would only make the alert late.
    expr: |||
      %s{sla="%s"} %s
      and on (agent)
      %s %s
      and on (agent)
      %s %s
    ||| % [
      s.errorRatio,
      sla.name,
      s.above(sla.errors.ratio),
      s.calls(sla.errors.window),
      s.atLeast(sla.errors.minCalls),
      s.errors(sla.errors.window),
      s.atLeast(sla.errors.minErrors),
    ],
    labels: { severity: 'critical', sla: sla.name },
    annotations: {
      summary: 'Too many calls of an agent fail.',
      description: '{{ $labels.agent }}: ' + number(s.errors(sla.errors.window)) + ' of ' +
                   number(s.calls(sla.errors.window)) + ' calls failed in the last ' + sla.errors.window +
                   ', {{ $value | humanizePercentage }}; the SLA is broken above ' + sla.errors.percent + '.',
    },
  },

  local tokensPerCallHigh(sla) = {
    alert: 'AgentTokenUsageHigh',
    // Usage can be up because traffic is; this is the same comparison for one call.
    expr: |||
      %s{sla="%s"} %s
      and on (agent)
      %s > %d
    ||| % [
      s.perCallRatio,
      sla.name,
      s.above(sla.tokens.increase),
      s.baseline(sla.tokens.baselineDays),
      sla.tokens.minTokens,
    ],
    [if sla.tokens['for'] != '0s' then 'for']: sla.tokens['for'],
    labels: { severity: 'warning', sla: sla.name, per: 'call' },
    annotations: {
      summary: 'An agent uses far more tokens for a call than usual at this hour.',
      description: '{{ $labels.agent }}: ' + number(s.tokensPerCall) + ' tokens a call in the last hour, ' +
                   '{{ $value | humanizePercentage }} above the ' + number(s.perCallBaseline(sla.tokens.baselineDays)) +
                   ' that are usual at this hour; the SLA is broken above ' + sla.tokens.percent + '.',
    },
  },

  local tokenUsageHigh(sla) = {
    alert: 'AgentTokenUsageHigh',
    // Where little is used, a few calls more are a large percentage: up to min_tokens the comparison says nothing.
    expr: |||
      %s{sla="%s"} %s
      and on (agent)
      %s > %d
    ||| % [
      s.tokenRatio,
      sla.name,
      s.above(sla.tokens.increase),
      s.baseline(sla.tokens.baselineDays),
      sla.tokens.minTokens,
    ],
    [if sla.tokens['for'] != '0s' then 'for']: sla.tokens['for'],
    labels: { severity: 'warning', sla: sla.name, per: 'hour' },
    annotations: {
      summary: 'An agent uses far more tokens than usual at this hour.',
      description: '{{ $labels.agent }}: ' + number(s.tokens) + ' tokens in the last hour, ' +
                   '{{ $value | humanizePercentage }} above the ' + number(s.baseline(sla.tokens.baselineDays)) +
                   ' that are usual at this hour; the SLA is broken above ' + sla.tokens.percent + '.',
    },
  },

  local tokensOfCallHigh(sla) = {
    alert: 'AgentTokenUsageHigh',
    expr: s.joined('(%s > %d)' % [s.tokensPerCall, sla.tokens.perCall], sla.name),
    [if sla.tokens['for'] != '0s' then 'for']: sla.tokens['for'],
    labels: { severity: 'warning', sla: sla.name, per: 'call', limit: 'per_call' },
    annotations: {
      summary: 'An agent uses more tokens for a call than it may.',
      description: '{{ $labels.agent }}: {{ $value | printf "%.0f" }} tokens a call in the last hour; ' +
                   'the SLA allows %d.' % sla.tokens.perCall,
    },
  },

  prometheusAlerts+:: {
    groups+: [
      {
        name: $.groupName('handrail-sla-', sla.name),
        rules: [
          $.withLinks(alert, '{{ $labels.agent | urlquery }}')
          for alert in [slowCallStreak(sla), errorRatioHigh(sla), tokenUsageHigh(sla), tokensPerCallHigh(sla)] + (if sla.tokens.perCall == null then [] else [tokensOfCallHigh(sla)]) + $.agentAlerts.budget(sla) + $.agentAlerts.runs(sla) + $.agentAlerts.answers(sla)
        ],
      }
      for sla in config.slas
    ],
  },
}

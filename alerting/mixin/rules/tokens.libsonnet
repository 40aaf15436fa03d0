// Tokens of the last hour, and tokens of one call. A group of its own, before all others: the baselines are made of these.
local s = import '../series.libsonnet';

{
  local bridge = $._config.bridge,
  local sumOf(counter) = 'sum by (agent) (\n%s)' % s.indented(s.bridged(counter, bridge)),

  prometheusRules+:: {
    groups+: [{
      name: 'handrail-tokens',
      rules: [
        {
          record: s.tokensSum,
          // An agent with calls and no tokens yet stands at 0, so that its first tokens are counted.
          expr: |||
            %s
            or
            0 * sum by (agent) (handrail_ended_calls_total)
          ||| % sumOf('handrail_tokens_total'),
        },
        { record: s.tokens, expr: s.wholeIncrease(s.tokensSum, '1h') },
        {
          record: s.meteredCallsSum,
          // Calls whose usage nobody told have no place in an average of tokens: unknown is not 0.
          expr: |||
            %(calls)s
            - on (agent)
            (
              %(without)s
              or
              0 * sum by (agent) (handrail_ended_calls_total)
            )
          ||| % {
            calls: sumOf('handrail_ended_calls_total'),
            without: sumOf('handrail_calls_without_usage_total'),
          },
        },
        { record: s.meteredCalls, expr: s.wholeIncrease(s.meteredCallsSum, '1h') },
        { record: s.tokensPerCall, expr: '%s / (%s > 0)' % [s.tokens, s.meteredCalls] },
      ],
    }, {
      name: 'handrail-token-sums',
      interval: s.sparseEvery,
      rules: [{ record: s.sparse(s.tokensSum), expr: s.tokensSum }],
    }],
  },
}

// Tokens of the last hour. A group of its own, before all others: the baseline is made of this series.
local s = import '../series.libsonnet';

{
  prometheusRules+:: {
    groups+: [{
      name: 'handrail-tokens',
      rules: [
        {
          record: s.tokensSum,
          // An agent with calls and no tokens yet stands at 0, so that its first tokens are counted.
          expr: |||
            sum by (agent) (
            %s)
            or
            0 * sum by (agent) (handrail_ended_calls_total)
          ||| % s.bridged('handrail_tokens_total', $._config.bridge),
        },
        { record: s.tokens, expr: s.wholeIncrease(s.tokensSum, '1h') },
      ],
    }],
  },
}

// What alerting/render.py fills in from handrail.yaml; the values here are the defaults of a file that sets nothing.
// Ratios are text, so that 2% stays 0.02 and never becomes a binary float with a tail.
{
  _config+:: {
    slas: [{
      name: 'default',
      latency: { threshold: '5s', consecutiveCalls: 3, hold: '5m', holdSeconds: '300' },
      errors: { ratio: '0.02', percent: '2%', window: '10m', minCalls: 1, minErrors: 1 },
      tokens: { increase: '0.3', percent: '30%', baselineDays: 7, minTokens: 1000, 'for': '15m' },
    }],
    // How long an agent is still known while the exporter does not answer: the longest latency.hold of all SLAs.
    bridge: '5m',
    publicUrl: 'http://127.0.0.1:9096',
    notify: { groupWait: '30s', groupInterval: '5m', repeatInterval: '4h' },
    webhook: { url: 'http://127.0.0.1:9096/v1/alerts', tokenFile: '/run/secrets/handrail_webhook_token' },
    // null, or { urlFile: '/run/secrets/slack_webhook_url', channel: '#ai-incidents' }; the channel may be null.
    slack: null,
    prometheus: { scrapeInterval: '15s', evaluationInterval: '15s' },
    listen: {
      prometheus: '127.0.0.1:9090',
      alertmanager: '127.0.0.1:9093',
      exporter: '127.0.0.1:9095',
      receiver: '127.0.0.1:9096',
    },
  },
}

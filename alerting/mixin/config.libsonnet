// What alerting/render.py fills in from handrail.yaml; the values here are the defaults of a file that sets nothing.
// Ratios are text, so that 2% stays 0.02 and never becomes a binary float with a tail.
{
  _config+:: {
    slas: [{
      name: 'default',
      latency: { threshold: '5s', thresholdSeconds: '5', consecutiveCalls: 3, hold: '5m', holdSeconds: '300' },
      errors: { ratio: '0.02', percent: '2%', window: '10m', minCalls: 1, minErrors: 1 },
      handoff: { percent: '80%', factor: '3', increase: '200%', minHandoffs: 5 },
      confidence: { share: '0.2', percent: '20%', window: '1h', minAnswers: 5 },
      stuck: { after: '30m', afterSeconds: '1800' },
      // null where no call is expected
      silent: { grace: '15m', graceSeconds: '900', minCalls: 10 },
      runaway: { modelCalls: 100, toolCalls: 100, tokens: 500000 },
      objective: {
        availability: '0.99',
        percent: '99%',
        window: '28d',
        minCalls: 20,
        burnRates: [
          { severity: 'critical', share: '2%', factor: '13.44', long: '1h', short: '5m' },
          { severity: 'critical', share: '5%', factor: '5.6', long: '6h', short: '30m' },
          { severity: 'warning', share: '10%', factor: '2.8', long: '1d', short: '2h' },
          { severity: 'warning', share: '10%', factor: '1', long: '3d', short: '6h' },
        ],
      },
      tokens: { increase: '0.3', percent: '30%', baselineDays: 7, minTokens: 1000, 'for': '15m', perCall: null },
      // null, or { window: '1h', minCalls: 20, limits: [
      //   { name: 'p95', percent: '5%', share: '0.05', threshold: '8s', thresholdSeconds: '8' },
      // ] }
      percentiles: null,
      // null, or { increase: '1', percent: '100%', window: '1h', baselineDays: 7, minCalls: 3 }
      slowdown: null,
      // null, or { window: '28d', middle: '27d23h30m', step: '11h12m', minCost: '1', increase: { ratio: '0.2', percent: '20%' },
      //            perCallIncrease: null, perDay: { usd: '20', text: '20 USD' } }
      cost: null,
    }],
    // Every window of the error budgets, and how closely the first value in it is looked for.
    budgetWindows: [
      { window: '5m', step: '15s' },
      { window: '30m', step: '30s' },
      { window: '1h', step: '1m' },
      { window: '2h', step: '2m' },
      { window: '6h', step: '6m' },
      { window: '1d', step: '24m' },
      { window: '3d', step: '1h12m' },
      { window: '28d', step: '11h12m' },
    ],
    // How long an agent is still known while the exporter does not answer: the longest latency.hold of all SLAs.
    bridge: '5m',
    // When Handrail itself is not well.
    pipeline: {
      partDownAfter: '5m',
      sourceDownAfter: '10m',
      sourceStaleSeconds: 30 * 60,
      datasetDownAfter: '30m',
      coverageUnknownAfter: '1h',
      deliveryStuckSeconds: 15 * 60,
      killStuckSeconds: 2 * 60,
      drillStaleSeconds: 30 * 24 * 3600,
    },
    publicUrl: 'http://127.0.0.1:9096',
    notify: {
      groupWait: '30s',
      groupInterval: '5m',
      repeatInterval: '4h',
      warningRepeatInterval: '1d',
      // null, or { weekdays: ['monday'], start: '08:00', end: '18:00', timeZone: 'Europe/Berlin' }
      officeHours: null,
    },
    webhook: { url: 'http://127.0.0.1:9096/v1/alerts', tokenFile: '/run/secrets/handrail_webhook_token' },
    // null, or how Alertmanager and Prometheus reach a receiver with TLS; each file may be null:
    // { serverName: 'handrail.example.com', caFile: '/etc/handrail/ca.pem', certFile: '….pem', keyFile: '….key' }
    receiverTls: null,
    // null, or { urlFile: '/run/secrets/slack_webhook_url', channel: '#ai-incidents' }; the channel may be null.
    slack: null,
    // null, or { smarthost: 'smtp.example.com:587', from: 'handrail@example.com', to: ['on-call@example.com'],
    //            user: 'handrail', passwordFile: '/run/secrets/email_password', requireTls: true }
    email: null,
    // Another program that takes the webhook: null, or { url: 'https://…', tokenFile: '/run/secrets/forward_token' }
    forward: null,
    // [{ name: 'finance-ops', slack: null or as above, email: ['finance@example.com'] }]
    owners: [],
    // Whether tickets are opened, so that a message can lead to one.
    tickets: false,
    // Where an n8n counts by itself: [{ source: 'n8n/main', scheme: 'http', address: 'n8n:5678', path: '/metrics' }]
    n8nMetrics: [],
    // How long after its end an execution is seen at the latest: a poll, a scrape and an evaluation.
    n8nLag: '30s',
    prometheus: { scrapeInterval: '15s', evaluationInterval: '15s' },
    listen: {
      prometheus: '127.0.0.1:9090',
      alertmanager: '127.0.0.1:9093',
      exporter: '127.0.0.1:9095',
      receiver: '127.0.0.1:9096',
    },
  },
}

// Alerts about Handrail itself.
{
  prometheusAlerts+:: {
    groups+: [{
      name: 'handrail-pipeline',
      rules: [$.withLinks({
        alert: 'HandrailWatchdog',
        // Always firing: when the receiver stops hearing it, alerting is broken somewhere on the way.
        expr: 'vector(1)',
        labels: { severity: 'info' },
        annotations: {
          summary: 'Alerting works; this alert always fires.',
          description: 'Prometheus at {{ $externalURL }} evaluates rules and reaches Alertmanager.',
        },
      })],
    }],
  },
}

// What Prometheus scrapes and evaluates.
{
  local listen = $._config.listen,
  local tls = import 'tls.libsonnet',
  local receiverTls = if $._config.receiverTls == null then {}
  else { scheme: 'https', tls_config: tls.client($._config.receiverTls) },
  local job(name, address) = { job_name: name, static_configs: [{ targets: [address] }] },

  // Of all that n8n counts, by route and by node, the rules read only this.
  local n8nJob = {
    job_name: 'n8n',
    static_configs: [
      {
        targets: [n8n.address],
        labels: { source: n8n.source, __scheme__: n8n.scheme, __metrics_path__: n8n.path },
      }
      for n8n in $._config.n8nMetrics
    ],
    metric_relabel_configs: [{
      action: 'keep',
      source_labels: ['__name__'],
      regex: 'n8n_workflow_(success|failed)_total',
    }],
  },

  prometheus:: {
    global: {
      scrape_interval: $._config.prometheus.scrapeInterval,
      evaluation_interval: $._config.prometheus.evaluationInterval,
    },
    rule_files: ['rules/handrail.yml'],
    alerting: { alertmanagers: [{ static_configs: [{ targets: [listen.alertmanager] }] }] },
    scrape_configs: [
      job('prometheus', listen.prometheus),
      job('alertmanager', listen.alertmanager),
      job('handrail-exporter', listen.exporter),
      job('handrail-receiver', listen.receiver) + receiverTls,
    ] + (if $._config.n8nMetrics == [] then [] else [n8nJob]),
  },
}

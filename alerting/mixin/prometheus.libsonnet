// What Prometheus scrapes and evaluates.
{
  local listen = $._config.listen,
  local job(name, address) = { job_name: name, static_configs: [{ targets: [address] }] },

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
      job('handrail-receiver', listen.receiver),
    ],
  },
}

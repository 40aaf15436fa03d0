// Grafana's dashboards for the _config of the mixin, by the name of their files.
{
  grafanaDashboards+:: {
    'overview.json': (import 'overview.libsonnet')($._config),
    'agent.json': (import 'agent.libsonnet')($._config),
    'pipeline.json': (import 'pipeline.libsonnet')($._config),
    'weekly.json': (import 'weekly.libsonnet')($._config),
  },
}

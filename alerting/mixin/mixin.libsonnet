// The mixin: prometheusRules, prometheusAlerts and grafanaDashboards for the _config of config.libsonnet.
// The three are there whatever they are added to.
{ prometheusRules+:: {}, prometheusAlerts+:: {}, grafanaDashboards+:: {} } +
(import 'config.libsonnet') +
(import 'groups.libsonnet') +
(import 'rules/tokens.libsonnet') +
(import 'rules/agents.libsonnet') +
(import 'rules/token_baseline.libsonnet') +
(import 'rules/latency.libsonnet') +
(import 'rules/cost.libsonnet') +
(import 'rules/budget.libsonnet') +
(import 'rules/silence.libsonnet') +
(import 'rules/n8n_crosscheck.libsonnet') +
(import 'alerts/links.libsonnet') +
(import 'alerts/budget.libsonnet') +
(import 'alerts/runs.libsonnet') +
(import 'alerts/answers.libsonnet') +
(import 'alerts/agents.libsonnet') +
(import 'alerts/latency.libsonnet') +
(import 'alerts/cost.libsonnet') +
(import 'alerts/silence.libsonnet') +
(import 'alerts/state.libsonnet') +
(import 'alerts/pipeline.libsonnet') +
(import 'receivers.libsonnet') +
(import 'alertmanager.libsonnet') +
(import 'prometheus.libsonnet') +
(import '../../dashboards/mixin.libsonnet')

// Everything that is rendered, for the configuration that alerting/render.py gives.
function(config)
  local mixin = (import 'mixin.libsonnet') + { _config+:: config };
  {
    rules: { groups: mixin.prometheusRules.groups + mixin.prometheusAlerts.groups },
    alertmanager: mixin.alertmanager,
    prometheus: mixin.prometheus,
    dashboards: mixin.grafanaDashboards,
  }

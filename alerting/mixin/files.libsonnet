// Every file that is rendered, by its path, for the configuration that alerting/render.py gives.
function(config)
  local mixin = (import 'mixin.libsonnet') + { _config+:: config };
  {
    'rules/handrail.yml': { groups: mixin.prometheusRules.groups + mixin.prometheusAlerts.groups },
    'alertmanager.yml': mixin.alertmanager,
    'prometheus.yml': mixin.prometheus,
  }

// Where a person goes from an alert. `agent` is a template, or null for an alert that is about no agent.
{
  withLinks(alert, agent=null):: alert {
    local query = if agent == null then '' else '?agent=' + agent,
    annotations+: {
      runbook_url: $._config.publicUrl + '/runbook/' + alert.alert + query,
      dashboard_url: $._config.publicUrl + '/' + query,
    },
  },
}

// Alerts about Handrail itself: whether it sees, whether it delivers, and whether what it promises was tried.
local watchdog = {
  alert: 'HandrailWatchdog',
  // Always firing: when the receiver stops hearing it, alerting is broken somewhere on the way.
  expr: 'vector(1)',
  labels: { severity: 'info' },
  annotations: {
    summary: 'Alerting works; this alert always fires.',
    description: 'Prometheus at {{ $externalURL }} evaluates rules and reaches Alertmanager.',
  },
};

local alert(name, severity, expr, summary, description, delay=null) = {
  alert: name,
  expr: expr,
  [if delay != null then 'for']: delay,
  labels: { severity: severity },
  annotations: { summary: summary, description: description },
};

{
  local p = $._config.pipeline,
  local seconds(duration) = '%d' % duration,

  local seeing = [
    alert(
      'HandrailPartDown',
      'critical',
      'up{job=~"handrail-exporter|handrail-receiver"} == 0',
      'A part of Handrail does not answer.',
      '{{ $labels.job }} at {{ $labels.instance }} has not answered Prometheus for %s.' % p.partDownAfter,
      p.partDownAfter
    ),
    alert(
      'HandrailSourceDown',
      'critical',
      'max by (source) (handrail_source_up) == 0',
      'A source of calls cannot be read.',
      '{{ $labels.source }} has not answered for %s; its agents are not being watched.' % p.sourceDownAfter,
      p.sourceDownAfter
    ),
    alert(
      'HandrailSourceStale',
      'warning',
      // 0 is a source that never answered, which HandrailSourceDown speaks of.
      'time() - (max by (source) (handrail_source_last_success_timestamp_seconds) > 0) > ' +
      seconds(p.sourceStaleSeconds),
      'A source of calls was not read completely for a long time.',
      '{{ $labels.source }} was last read completely {{ $value | humanizeDuration }} ago; newer calls may be missing.'
    ),
    alert(
      'HandrailCoverageGap',
      'warning',
      |||
        max by (source) (
          max_over_time(handrail_source_coverage_gap_calls[1h]) - min_over_time(handrail_source_coverage_gap_calls[1h])
        ) > 0
      |||,
      'A source had calls that it could not show.',
      '{{ $labels.source }}: {{ $value | printf "%.0f" }} calls of the last hour were not saved, deleted or hidden; ' +
      'they are in no number here.'
    ),
    alert(
      'HandrailCoverageUnknown',
      'info',
      // A window that was compared is equal, missing or extra; an idle gateway's is equal.
      |||
        sum by (source, gateway) (
          max_over_time(handrail_gateway_coverage_checks_total{verdict=~"equal|missing|extra"}[2h])
          - min_over_time(handrail_gateway_coverage_checks_total{verdict=~"equal|missing|extra"}[2h])
        ) == 0
      |||,
      'Whether calls of a gateway are missing is not known.',
      '{{ $labels.gateway }} of {{ $labels.source }}: for hours its log could not be compared with what Cloudflare counted.',
      p.coverageUnknownAfter
    ),
    alert(
      'HandrailDatasetDown',
      'warning',
      // One that never could be read is not offered to this account or token, and the log said so.
      |||
        max by (source, dataset) (handrail_source_dataset_up) == 0
        and on (source, dataset)
        max by (source, dataset) (handrail_source_dataset_last_success_timestamp_seconds) > 0
      |||,
      "A part of Cloudflare's analytics can no longer be read.",
      '{{ $labels.dataset }} of {{ $labels.source }} was not read for %s; what is made of it stands still.' %
      p.datasetDownAfter,
      p.datasetDownAfter
    ),
    alert(
      'HandrailLedgerDown',
      'critical',
      'max by (instance) (handrail_ledger_up) == 0',
      'The exporter cannot use its ledger.',
      'The exporter at {{ $labels.instance }} cannot read or write its ledger; no call is being counted.',
      '2m'
    ),
    alert(
      'HandrailConfigReloadFailed',
      'warning',
      'max by (job, instance) (handrail_config_last_reload_successful) == 0',
      'A changed configuration was refused.',
      '{{ $labels.job }} at {{ $labels.instance }} goes on with the configuration it had; its log says what is wrong.'
    ),
  ],

  local keys = [
    alert(
      'HandrailCredentialRefused',
      'critical',
      'max by (credential) (handrail_credential_valid) == 0',
      'A key no longer opens its service.',
      'The key {{ $labels.credential }} is refused: it expired, was deleted, or lost a permission.',
      '2m'
    ),
    alert(
      'HandrailCredentialExpiring',
      'warning',
      |||
        max by (credential) (handrail_credential_expiry_timestamp_seconds) - time()
        < on () group_left ()
        max(handrail_credential_warn_before_seconds)
      |||,
      'A key expires soon.',
      'The key {{ $labels.credential }} expires in {{ $value | humanizeDuration }}.'
    ),
    alert(
      'HandrailCredentialOld',
      'warning',
      |||
        time() - max by (credential) (handrail_credential_issued_timestamp_seconds)
        > on () group_left ()
        max(handrail_credential_max_age_seconds)
      |||,
      'A key is older than the team allows.',
      'The key {{ $labels.credential }} was issued {{ $value | humanizeDuration }} ago or earlier; change it.'
    ),
  ],

  local delivering = [
    alert(
      'HandrailDeliveryStuck',
      'warning',
      'max by (lane) (handrail_outbox_oldest_age_seconds{lane!="kills"}) > ' + seconds(p.deliveryStuckSeconds),
      'Tickets are not being delivered.',
      'The oldest item of {{ $labels.lane }} has waited {{ $value | humanizeDuration }}.'
    ),
    alert(
      'HandrailDeliveryStuck',
      'critical',
      'max by (lane) (handrail_outbox_oldest_age_seconds{lane="kills"}) > ' + seconds(p.killStuckSeconds),
      'A switch-off is not getting through.',
      'The oldest item of {{ $labels.lane }} has waited {{ $value | humanizeDuration }}.'
    ),
    alert(
      'HandrailDeadLetters',
      'warning',
      'max by (lane) (handrail_dead_letters) > 0',
      'Something could not be delivered and was given up.',
      '{{ $value | printf "%.0f" }} items of {{ $labels.lane }} were given up and wait for a person.'
    ),
    alert(
      'HandrailNotificationsFailing',
      'critical',
      |||
        sum by (integration) (
          max_over_time(alertmanager_notifications_failed_total[15m]) - min_over_time(alertmanager_notifications_failed_total[15m])
        ) > 3
      |||,
      'Alertmanager cannot deliver notifications.',
      'Alertmanager failed {{ $value | printf "%.0f" }} times in 15 minutes to reach {{ $labels.integration }}.'
    ),
    alert(
      'HandrailRulesFailing',
      'critical',
      |||
        sum by (rule_group) (
          max_over_time(prometheus_rule_evaluation_failures_total[15m]) - min_over_time(prometheus_rule_evaluation_failures_total[15m])
        ) > 0
      |||,
      'Rules cannot be evaluated.',
      'Rules of {{ $labels.rule_group }} failed {{ $value | printf "%.0f" }} times in 15 minutes; their alerts may be missing.'
    ),
  ],

  local watched = [
    alert(
      'WorkerCronMissed',
      'warning',
      |||
        sum by (source, worker, cron) (
          max_over_time(handrail_worker_cron_missed_total[1h]) - min_over_time(handrail_worker_cron_missed_total[1h])
        ) > 0
      |||,
      'A cron trigger of a Worker did not run.',
      '{{ $labels.worker }}: {{ $value | printf "%.0f" }} runs of the cron {{ $labels.cron }} were due and did not begin.'
    ),
  ],

  local tried = [
    alert(
      'HandrailKillNotConfirmed',
      'critical',
      'max by (agent) (handrail_kills_not_confirmed) == 1',
      'An agent was switched off and may still run.',
      '{{ $labels.agent }} was switched off, but that it stopped could not be proved. Switch it off by hand.'
    ),
    alert(
      'HandrailDrillStale',
      'info',
      // The metric's own label `alertname` would be taken for the name of this alert.
      |||
        time() - max by (scenario, drilled) (
          label_replace(handrail_drill_last_success_timestamp_seconds, "drilled", "$1", "alertname", "(.*)")
        ) > %s
      ||| % seconds(p.drillStaleSeconds),
      'An alert was not drilled for a long time.',
      '{{ $labels.drilled }}: the scenario {{ $labels.scenario }} did not pass for {{ $value | humanizeDuration }}; ' +
      'whether this alert still works is not known.'
    ),
  ],

  prometheusAlerts+:: {
    groups+: [{
      name: 'handrail-pipeline',
      rules: [
        $.withLinks(rule, if rule.alert == 'HandrailKillNotConfirmed' then '{{ $labels.agent | urlquery }}')
        for rule in [watchdog] + seeing + keys + delivering + tried + watched
      ],
    }],
  },
}

// Does Handrail itself see, deliver and keep what it promises?
local colors = import 'lib/colors.libsonnet';
local d = import 'lib/dashboard.libsonnet';
local p = import 'lib/panels.libsonnet';
local q = import 'lib/query.libsonnet';
local s = q.names;

function(config)
  local runbook(alertname) = [d.toRunbook(config, alertname)];
  local since(name, window, more='') =
    '(max_over_time(' + q.scraped(name, more) + window + ') - min_over_time(' + q.scraped(name, more) + window + '))';
  local yesNo = [[1, 'Yes', colors.ok], [0, 'No', colors.broken]];

  local figure(title, description, query, noValue, alertname, more) =
    p.stat([4, 4], title, description, p.now(query), noValue, { unit: 'short', links: runbook(alertname) } + more);
  local none = { thresholds: p.steps([[null, colors.ok], [1, colors.broken]]) };

  local figures = [
    figure(
      'Parts that do not answer',
      'Exporter and receiver, as Prometheus sees them.',
      'count(' + q.scraped('up', 'job=~"handrail-.+"') + ' == 0) or 0 * count(' + q.scraped('up', 'job=~"handrail-.+"') + ')',
      'Nothing of Handrail is scraped. Are the jobs called handrail-exporter and handrail-receiver?',
      'HandrailPartDown',
      none
    ),
    figure(
      'Sources that cannot be read',
      'Their agents are not being watched.',
      'count(max by (source) (' + q.scraped('handrail_source_up') + ') == 0) or 0 * count(' + q.scraped('handrail_source_up') + ')',
      'No sources: does the exporter run?',
      'HandrailSourceDown',
      none
    ),
    figure(
      'Ledger',
      'Whether the exporter can read and write what it counted.',
      'min(' + q.scraped('handrail_ledger_up') + ')',
      'No answer of the exporter',
      'HandrailLedgerDown',
      { mappings: p.texts([[1, 'Works', colors.ok], [0, 'Broken', colors.broken]]) }
    ),
    figure(
      'Watchdog last heard',
      'The alert that always fires comes to the receiver every few minutes. When it does not, alerts do not get through.',
      'time() - (max(' + q.scraped('handrail_watchdog_last_heard_timestamp_seconds') + ') > 0)',
      'Never, or no answer of the receiver',
      'HandrailWatchdog',
      { unit: 'dtdurations', thresholds: p.steps([[null, colors.ok], [900, colors.broken]]) }
    ),
    figure(
      'Given up',
      'Tickets, kills and other items that could not be delivered and wait for a person.',
      'sum(max by (lane) (' + q.scraped('handrail_dead_letters') + '))',
      'No answer of the receiver',
      'HandrailDeadLetters',
      none
    ),
    figure(
      'Switched off without proof',
      'Agents that were switched off and may still run.',
      // Nothing is said of agents that have no switch.
      'sum(max by (agent) (' + q.ofAgent('handrail_kills_not_confirmed') + ')) or 0 * count(' + q.scraped('handrail_dead_letters') + ')',
      'No answer of the receiver',
      'HandrailKillNotConfirmed',
      none
    ),
  ];

  local sources = p.table(
    [24, 8],
    'Sources',
    'Lag: how far behind the calls are that are counted. Gap: calls that the source had and could not show, since the ' +
    'beginning and in the last hour; they are in no number here. Failed polls are those of the last hour.',
    [
      { name: 'Read', query: q.best('source', q.scraped('handrail_source_up')), texts: yesNo, width: 80 },
      { name: 'Source', label: 'source', links: runbook('HandrailSourceDown') },
      {
        name: 'Last read',
        query: '1000 * (' + q.best('source', q.scraped('handrail_source_last_success_timestamp_seconds')) + ' > 0)',
        unit: 'dateTimeFromNow',
        noValue: 'Never',
      },
      {
        name: 'Lag',
        query: 'time() - ' + q.best('source', q.scraped('handrail_source_read_until_timestamp_seconds')),
        unit: 'dtdurations',
        steps: [[null, colors.ok], [600, colors.warning], [1800, colors.broken]],
        noValue: '',
      },
      {
        name: 'Gap, last hour',
        query: 'max by (source) ' + since('handrail_source_coverage_gap_calls', '[1h]'),
        steps: [[null, colors.ok], [1, colors.warning]],
        noValue: '',
      },
      { name: 'Gap, ever', query: q.best('source', q.scraped('handrail_source_coverage_gap_calls')), noValue: '' },
      {
        name: 'Failed polls',
        query: 'sum by (source) (increase(' + q.scraped('handrail_source_errors_total') + '[1h]))',
        decimals: 0,
        steps: [[null, colors.ok], [1, colors.warning]],
        noValue: '',
      },
      {
        name: 'Requests left',
        query: 'min by (source) (' + q.scraped('handrail_source_request_budget_remaining') + ')',
        noValue: 'No limit',
      },
    ],
    'No sources: nothing was scraped from the exporter in this time.',
    [['Read', false], ['Lag', true]]
  );

  local seeing = [
    p.graph(
      [12, 8],
      'Lag of the sources',
      'How far behind the calls are that are counted. It grows while a source is down or a backlog is read.',
      [p.line('time() - ' + q.best('source', q.scraped('handrail_source_read_until_timestamp_seconds')), '{{source}}')],
      'No source was read in this time.',
      'dtdurations',
      { links: runbook('HandrailSourceStale') }
    ),
    p.bars(
      [12, 8],
      'Failed polls by reason',
      'The reasons stand in docs/metrics.md, with what to do.',
      [p.line('sum by (source, reason) (increase(' + q.scraped('handrail_source_errors_total') + '[$__rate_interval])) > 0', '{{source}} {{reason}}')],
      'No poll failed in this time.',
      'short'
    ),
  ];

  local keys = p.table(
    [12, 9],
    'Credentials',
    'Whether each still opens its service, when it expires and how old it is at least. Nothing of the secret itself is anywhere.',
    [
      { name: 'Credential', label: 'credential', links: runbook('HandrailCredentialExpiring') },
      {
        name: 'Accepted',
        query: q.best('credential', q.scraped('handrail_credential_valid')),
        texts: yesNo,
        noValue: 'Not asked',
      },
      {
        name: 'Expires',
        query: '1000 * ' + q.best('credential', q.scraped('handrail_credential_expiry_timestamp_seconds')),
        unit: 'dateTimeFromNow',
        noValue: 'Not known',
      },
      {
        name: 'Issued',
        query: '1000 * ' + q.best('credential', q.scraped('handrail_credential_issued_timestamp_seconds')),
        unit: 'dateTimeFromNow',
        noValue: 'Not known',
      },
    ],
    'No credentials: nothing was scraped from exporter or receiver in this time.',
    [['Accepted', false], ['Expires', false]]
  );

  local drills = p.table(
    [12, 9],
    'Drills',
    'When each alert was last seen to work, from the failure to the ticket. An alert that was never drilled is not proved.',
    [
      { name: 'Scenario', label: 'scenario' },
      { name: 'Alert', label: 'alertname', links: [d.toRunbook(config, '${__data.fields.Alert}')] },
      {
        name: 'Last passed',
        query: '1000 * (' + q.best('scenario, alertname', q.scraped('handrail_drill_last_success_timestamp_seconds')) + ' > 0)',
        unit: 'dateTimeFromNow',
      },
    ],
    'No drill has passed here yet: make drill.',
    [['Last passed', false]]
  );

  local delivering = [
    p.graph(
      [8, 8],
      'Oldest item that waits',
      'By queue. Tickets wait while Jira is away and are not lost; kills never wait behind them.',
      [p.line(q.best('lane', q.scraped('handrail_outbox_oldest_age_seconds')), '{{lane}}')],
      'No answer of the receiver in this time.',
      'dtdurations',
      { links: runbook('HandrailDeliveryStuck') }
    ),
    p.bars(
      [8, 8],
      'What was done to tickets',
      'adopted: Jira had made it though its answer was lost. duplicate: found and closed.',
      [p.line('sum by (action) (increase(' + q.scraped('handrail_tickets_total') + '[$__rate_interval])) > 0', '{{action}}')],
      'Nothing was done to a ticket in this time.',
      'short'
    ),
    p.bars(
      [8, 8],
      'Switch operations',
      'confirmed: it was proved that the agent stopped. not_confirmed: it may still run.',
      [p.line('sum by (state) (increase(' + q.scraped('handrail_kill_operations_total') + '[$__rate_interval])) > 0', '{{state}}')],
      'No agent was switched in this time.',
      'short'
    ),
  ];

  local others = [
    p.graph(
      [8, 8],
      'Rules of Prometheus',
      'Evaluations that failed: their alerts may be missing. Missed: Prometheus was too busy.',
      [
        p.line('sum(rate(' + q.scraped('prometheus_rule_evaluation_failures_total') + '[$__rate_interval]))', 'failed'),
        p.line('sum(rate(' + q.scraped('prometheus_rule_group_iterations_missed_total') + '[$__rate_interval]))', 'missed'),
      ],
      'Prometheus does not scrape itself (job prometheus).',
      'ops',
      { links: runbook('HandrailRulesFailing') }
    ),
    p.graph(
      [8, 8],
      'How much of its interval each group of rules takes',
      'At 1 a group is not ready when it should begin again.',
      [p.line(
        'max by (rule_group) (' + q.scraped('prometheus_rule_group_last_duration_seconds') + ' / ' +
        q.scraped('prometheus_rule_group_interval_seconds') + ')',
        '{{rule_group}}'
      )],
      'Prometheus does not scrape itself (job prometheus).',
      'percentunit',
      { links: runbook('HandrailRulesFailing') }
    ),
    p.graph(
      [8, 8],
      'Notifications of Alertmanager',
      'By where they go: sent, and failed. What failed is sent again.',
      [
        p.line('sum by (integration) (rate(' + q.scraped('alertmanager_notifications_total') + '[$__rate_interval])) > 0', '{{integration}} sent'),
        p.line('sum by (integration) (rate(' + q.scraped('alertmanager_notifications_failed_total') + '[$__rate_interval])) > 0', '{{integration}} failed'),
      ],
      'Alertmanager sent nothing in this time, or is not scraped (job alertmanager).',
      'ops',
      { links: runbook('HandrailNotificationsFailing') }
    ),
  ];

  d.board(
    config,
    'handrail-pipeline',
    'Handrail: pipeline',
    'Whether Handrail itself sees, delivers and keeps what it promises.',
    [
      d.row('At a glance', figures),
      d.row('What it sees', [sources]),
      d.row('Reading', seeing),
      d.row('What it relies on', [keys, drills]),
      d.row('What it delivers', delivering),
      d.row('Prometheus and Alertmanager', others),
    ],
    'now-24h'
  )

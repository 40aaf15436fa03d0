// The figures of the weekly review: the seven days up to the end of the time range, against the seven days before.
local colors = import 'lib/colors.libsonnet';
local d = import 'lib/dashboard.libsonnet';
local p = import 'lib/panels.libsonnet';
local q = import 'lib/query.libsonnet';
local s = q.names;

function(config)
  local perAgent = '__data.fields.Agent';
  local links = [d.toAgent(perAgent), d.toPage(config, perAgent)];
  local agent = { name: 'Agent', label: 'agent', links: links, width: 240 };

  local summed(name) = function(offset) 'sum by (agent) (' + q.ofAgent(name) + offset + ')';
  local calls(week=0) = q.ofWeekRecorded(s.callsSum, week);
  local errors(week=0) = q.ofWeekRecorded(s.errorsSum, week);
  local tokens(week=0) = q.ofWeekRecorded(s.tokensSum, week);
  local cost(week=0) = q.ofWeek(summed('handrail_cost_usd_total'), week);
  // Both of one scrape: a recorded sum is some seconds older than what is scraped, and a past that was read later has none.
  local told(without) = function(week=0) q.ofWeek(
    function(offset)
      '(' + summed('handrail_ended_calls_total')(offset) + ' - on (agent) ' + summed(without)(offset) + ')',
    week
  );
  local metered = told('handrail_calls_without_usage_total');
  local priced = told('handrail_calls_without_cost_total');
  local share(part, whole) = part + '\n/ on (agent)\n(' + whole + ' > 0)';
  local change(now, before) = '(' + now + ')\n/ on (agent)\n((' + before + ') > 0)\n- 1';
  // Of no call at all it is NaN, which is no time.
  local quantile(of) =
    'histogram_quantile(' + of + ', ' +
    q.ofWeekRoughly(function(offset) 'sum by (agent, le) (' + q.ofAgent('handrail_call_duration_seconds_bucket') + offset + ')') +
    ') >= 0';

  local figure(title, description, query, noValue, more) =
    p.stat([4, 4], title, description, p.now(query), noValue, { unit: 'short', decimals: 0 } + more);
  local over(expr) = 'sum(' + expr + ')';
  local firingSteps = '[7d:1m]';

  local figures = [
    figure('Calls', 'Calls of all chosen agents that ended in these seven days.', over(calls()), 'No calls in these days', {}),
    figure(
      'Failed calls',
      'Their share, over all agents.',
      over(errors()) + ' / (' + over(calls()) + ' > 0)',
      'No calls in these days',
      { unit: 'percentunit', decimals: 2 }
    ),
    figure('Tokens', 'Both ways, with those that a source only estimates.', over(tokens()), 'No tokens known', {}),
    figure('Known cost', 'What the AI Gateway told. What nobody told is not in it.', over(cost()), 'Nobody told a cost', { unit: 'currencyUSD', decimals: 2 }),
    figure(
      'Hand-offs',
      'Work that people took over.',
      over(q.ofWeek(summed('handrail_handoffs_total'))),
      'No answer of the receiver',
      {}
    ),
    figure(
      'Watched',
      'Share of the seven days in which Prometheus had an answer of the exporter. Of the rest these figures know nothing.',
      'max(sum_over_time(' + q.scraped('up', 'job="handrail-exporter"') + '[7d:5m])) * 300 / (7 * 86400)',
      'The exporter never answered in these days',
      { unit: 'percentunit', max: 1, thresholds: p.steps([[null, colors.broken], [0.9, colors.warning], [0.99, colors.ok]]) }
    ),
  ];

  local kept = p.table(
    [24, 9],
    'Was the SLA kept?',
    'Failed: share of failed calls, and the change against the seven days before in percentage points. Budget left is of the ' +
    "objective's own window. Slow streaks: how often the SLA of latency was broken. Minutes: how long critical alerts fired.",
    [
      agent,
      { name: 'Calls', query: calls(), decimals: 0 },
      { name: 'Failed', query: share(errors(), calls()), unit: 'percentunit', decimals: 2, noValue: 'No calls' },
      {
        name: 'Change',
        query: '(' + share(errors(), calls()) + ')\n- on (agent)\n(' + share(errors(1), calls(1)) + ')',
        unit: 'percentunit',
        decimals: 2,
        noValue: 'No week before',
        steps: [[null, colors.ok], [0.005, colors.broken]],
      },
      {
        name: 'Budget left',
        query: q.best('agent', q.recorded(s.budgetRemaining)),
        unit: 'percentunit',
        decimals: 0,
        steps: [[null, colors.broken], [0, colors.warning], [0.25, colors.ok]],
        noValue: 'No calls',
      },
      { name: 'Median', query: quantile('0.5'), unit: 's', noValue: '' },
      { name: '95 %', query: quantile('0.95'), unit: 's', noValue: '' },
      {
        name: 'Slow streaks',
        query: q.ofWeek(summed('handrail_slow_streak_breaches_total')),
        decimals: 0,
        steps: [[null, colors.ok], [1, colors.broken]],
      },
      {
        name: 'Critical for',
        query: '60 * sum by (agent) (count_over_time(max by (agent, alertname) (' + q.firing('severity="critical",agent!=""') + ')' +
               firingSteps + ')) or 0 * ' + q.best('agent', q.known),
        unit: 'dtdurations',
        steps: [[null, colors.ok], [1, colors.broken]],
      },
      { name: 'Owner', label: 'owner' },
      { name: 'Known', query: 'max by (agent, owner) (' + q.known + ')', hidden: true },
    ],
    'No agents had calls in these days, or Prometheus has no history of them.',
    [['Critical for', true], ['Failed', true]]
  );

  local used = p.table(
    [24, 9],
    'What did they use?',
    'Tokens and cost, in all and for a call, with the change against the seven days before. A call whose usage or cost nobody ' +
    'told is in no average: missing is not 0.',
    [
      agent,
      { name: 'Tokens', query: tokens(), decimals: 0, noValue: '' },
      { name: 'Tokens a call', query: share(tokens(), metered()), decimals: 0, noValue: 'Not told' },
      {
        name: 'Change of tokens a call',
        query: change(share(tokens(), metered()), share(tokens(1), metered(1))),
        unit: 'percentunit',
        decimals: 0,
        noValue: 'No week before',
        steps: [[null, colors.ok], [0.3, colors.broken]],
      },
      { name: 'Cost', query: cost() + '\nand on (agent)\n' + priced() + ' > 0', unit: 'currencyUSD', decimals: 2, noValue: 'Not told' },
      { name: 'Cost a call', query: share(cost(), priced()), unit: 'currencyUSD', decimals: 4, noValue: 'Not told' },
      {
        name: 'Change of cost a call',
        query: change(share(cost(), priced()), share(cost(1), priced(1))),
        unit: 'percentunit',
        decimals: 0,
        noValue: 'No week before',
        steps: [[null, colors.ok], [0.2, colors.broken]],
      },
      {
        name: 'Low confidence',
        query: share(
          q.ofWeek(summed('handrail_low_confidence_calls_total')), q.ofWeek(summed('handrail_call_confidence_ratio_count'))
        ),
        unit: 'percentunit',
        decimals: 1,
        noValue: 'Not stated',
      },
      { name: 'Hand-offs', query: q.ofWeek(summed('handrail_handoffs_total')), decimals: 0, noValue: '' },
    ],
    'No agents had calls in these days, or Prometheus has no history of them.',
    [['Tokens', true]]
  );

  local incidents = [
    p.table(
      [12, 9],
      'Alerts of these days',
      'How long each alert fired, of all chosen agents together, to the minute.',
      [
        { name: 'Alert', label: 'alertname', links: [d.toRunbook(config, '${__data.fields.Alert}')] },
        { name: 'Severity', label: 'severity' },
        {
          name: 'Fired for',
          query: '60 * sum by (alertname, severity) (count_over_time(max by (alertname, severity, agent, source) (' +
                 q.firing() + ')' + firingSteps + '))',
          unit: 'dtdurations',
        },
      ],
      'Nothing fired in these days, or Prometheus has no history of them.',
      [['Fired for', true]]
    ),
    p.bars(
      [12, 9],
      'Failed calls by reason',
      'Of all chosen agents, in the time range of the dashboard.',
      [p.line('sum by (reason) (increase(' + q.ofAgent('handrail_call_errors_total') + '[$__rate_interval])) > 0', '{{reason}}')],
      'No failed calls in this time.',
      'short',
      wait='1h'
    ),
  ];

  d.board(
    config,
    'handrail-weekly',
    'Handrail: weekly review',
    'The seven days up to the end of the time range, against the seven days before. Move the end to look at another week.',
    [d.row('All agents', figures), d.row('SLA', [kept]), d.row('Use', [used]), d.row('What happened', incidents)],
    'now-7d'
  )

// What is wrong with this agent, and since when? Its numbers over time, with the limits of its SLA as dashed lines.
local colors = import 'lib/colors.libsonnet';
local d = import 'lib/dashboard.libsonnet';
local p = import 'lib/panels.libsonnet';
local q = import 'lib/query.libsonnet';
local states = import 'lib/states.libsonnet';
local s = q.names;

function(config)
  local slas = config.slas;
  local ofLine = '__field.labels.agent';
  local runbook(alertname) = { links: [d.toRunbook(config, alertname, ofLine), d.toPage(config, ofLine)] };
  local limit(number) = p.line(q.ofSla(slas, number), '{{agent}} SLA');
  local line(expr, legend='{{agent}}') = p.line(expr, legend);
  local rate(name) = 'rate(' + q.ofAgent(name) + '[$__rate_interval])';
  local graph(title, description, queries, noValue, unit, alertname, limited=false, custom={}, wait='1m') =
    p.graph([12, 8], title, description, queries, noValue, unit, runbook(alertname), custom, wait) + (
      if limited then { fieldConfig+: { overrides+: [p.limitLine(std.char(64 + std.length(queries)))] } } else {}
    );
  local bars(title, description, series, labels, noValue, alertname) =
    p.bars(
      [12, 8],
      title,
      description,
      [p.line('sum by (' + labels + ') (increase(' + q.ofAgent(series) + '[$__rate_interval])) > 0', '{{' + std.strReplace(labels, ', ', '}} {{') + '}}')],
      noValue,
      'short'
    ) + { fieldConfig+: { defaults+: runbook(alertname) } };

  local figure(title, description, query, noValue, more) =
    p.stat([4, 4], title, description, p.now(query, '{{agent}}'), noValue, { unit: 'short', links: [d.toPage(config, ofLine)] } + more) {
      options+: { textMode: 'value_and_name' },
    };

  local figures = [
    figure(
      'State',
      'Broken: a critical alert fires. Not watched: its source cannot be read. Warning: an alert fires that can wait. ' +
      'Off: switched off.',
      states.state,
      'This agent is not watched.',
      { mappings: p.texts(states.stateTexts) }
    ),
    figure(
      'Error budget left',
      'Of the availability that the SLA promises, weighted by calls; below 0 it is spent.',
      q.best('agent', q.recorded(s.budgetRemaining)),
      'No calls in the window',
      { unit: 'percentunit', decimals: 0, thresholds: p.steps([[null, colors.broken], [0, colors.warning], [0.25, colors.ok]]) }
    ),
    figure(
      'Slow calls in a row',
      'In the order in which they ended. The exporter counts them, because samples cannot.',
      q.best('agent', q.ofAgent('handrail_slow_call_streak')),
      'No calls yet',
      { thresholds: p.steps([[null, colors.ok], [1, colors.warning]]) }
    ),
    figure(
      'Running for',
      'How long the oldest execution has been running. Who waits for a time or a person is not running.',
      'time() - (' + q.best('agent', q.ofAgent('handrail_oldest_running_call_timestamp_seconds')) + ' > 0)',
      'Nothing runs',
      { unit: 'dtdurations' }
    ),
    figure(
      'Last call ended',
      'When the last call ended, well or badly.',
      '1000 * (' + q.best('agent', q.ofAgent('handrail_last_call_timestamp_seconds')) + ' > 0)',
      'No call yet',
      { unit: 'dateTimeFromNow' }
    ),
    figure(
      'Next call due',
      'By its schedule, or by the triggers of its workflow.',
      '1000 * ' + q.recorded(s.callDue),
      'No schedule known',
      { unit: 'dateTimeFromNow' }
    ),
  ];

  // Of no call at all it is NaN, which is no time.
  local quantile(of) =
    'histogram_quantile(' + of + ', sum by (agent, le) (' + rate('handrail_call_duration_seconds_bucket') + ')) >= 0';

  local latency = [
    graph(
      'How long calls take',
      'Median and 95th percentile, estimated from the buckets, in steps of a quarter of an hour or more. Dashed: the time ' +
      'that a call of the SLA may take.',
      [line(quantile('0.5'), '{{agent}} median'), line(quantile('0.95'), '{{agent}} 95 %'), limit(function(sla) sla.latency.thresholdSeconds)],
      'No calls with a duration in this time.',
      's',
      'AgentSlowCallStreak',
      limited=true,
      wait='15m'
    ),
    graph(
      'Slow calls in a row',
      'Dashed: so many break the SLA. A streak that begins and ends between two scrapes is not in this line; the alert ' +
      'sees it all the same.',
      [
        line('max by (agent) (max_over_time(' + q.ofAgent('handrail_slow_call_streak') + '[$__interval]))'),
        limit(function(sla) std.toString(sla.latency.consecutiveCalls)),
      ],
      'No calls yet.',
      'short',
      'AgentSlowCallStreak',
      limited=true,
      custom={ lineInterpolation: 'stepAfter' }
    ),
  ];

  local errors = [
    bars(
      'Failed calls by reason',
      'timeout, rate_limited and provider_error come from the model provider; auth is a key; tool_error a tool; ' +
      'invalid_output the answer; canceled and crashed the platform.',
      'handrail_call_errors_total',
      'agent, reason',
      'No failed calls in this time.',
      'AgentErrorRatioHigh'
    ),
    graph(
      'Share of failed calls',
      "Over the SLA's own window. Dashed: above it the SLA is broken. No line where there were no calls: that is not 0.",
      [line(q.best('agent', q.recorded(s.errorRatio))), limit(function(sla) sla.errors.ratio)],
      'No calls in this time.',
      'percentunit',
      'AgentErrorRatioHigh',
      limited=true
    ),
    graph(
      'Error budget left',
      'At 0 all failures that the availability of the SLA allows in its window have been used up.',
      [line(q.best('agent', q.recorded(s.budgetRemaining)))],
      'No calls in this time.',
      'percentunit',
      'AgentErrorBudgetBurn'
    ) { fieldConfig+: { defaults+: { min:: 0 } } },
    p.bars(
      [12, 8],
      'Calls by outcome',
      'Every call that ended, counted once.',
      [p.line('sum by (agent, outcome) (increase(' + q.ofAgent('handrail_calls_total') + '[$__rate_interval])) > 0', '{{agent}} {{outcome}}')],
      'No calls in this time.',
      'short'
    ) + { fieldConfig+: { defaults+: runbook('AgentSilent') } },
  ];

  local usual(sla) = s.baseline(sla.tokens.baselineDays);
  local use = [
    graph(
      'Tokens of the last hour, and what is usual',
      'Usual is the median of the same hour on the days before. Dashed: above it the SLA is broken.',
      [
        line(q.recorded(s.tokens), '{{agent}}'),
        line(q.seriesOfSla(slas, function(sla) q.recorded(usual(sla))), '{{agent}} usual'),
        line(
          q.seriesOfSla(slas, function(sla) '(1 + ' + sla.tokens.increase + ') * ' + q.recorded(usual(sla))),
          '{{agent}} SLA'
        ),
      ],
      'No tokens in this time; n8n tells some only as an estimate, and some not at all.',
      'short',
      'AgentTokenUsageHigh',
      limited=true
    ) {
      fieldConfig+: {
        overrides+: [{
          matcher: { id: 'byFrameRefID', options: 'B' },
          properties: [
            { id: 'custom.fillBelowTo', value: '' },
            { id: 'color', value: { mode: 'fixed', fixedColor: colors.off } },
          ],
        }],
      },
    },
    graph(
      'Cost of an hour',
      'What the AI Gateway estimates. n8n tells no cost, so its calls are in no line here: missing is not 0.',
      [line('sum by (agent) (increase(' + q.ofAgent('handrail_cost_usd_total') + '[1h]))\nunless on (agent)\n' +
            'sum by (agent) (' + q.ofAgent('handrail_calls_without_cost_total') + ') == sum by (agent) (' + q.ofAgent('handrail_ended_calls_total') + ')')],
      'Nobody told a cost in this time.',
      'currencyUSD',
      'AgentCostHigh'
    ),
  ];

  local answers = [
    graph(
      'Confidence of answers',
      'What answers stated of themselves, on average, in steps of a quarter of an hour or more. Only where the agent is set to ' +
      'state it (`confidence` in handrail.yaml).',
      [line(
        'sum by (agent) (' + rate('handrail_call_confidence_ratio_sum') + ')\n/\n(sum by (agent) (' +
        rate('handrail_call_confidence_ratio_count') + ') > 0)'
      )],
      'No answer stated a confidence in this time.',
      'percentunit',
      'AgentLowConfidence',
      wait='15m'
    ) { fieldConfig+: { defaults+: { max: 1 } } },
    bars(
      'Hand-offs to people',
      'Work that the receiver took over for a person, by reason.',
      'handrail_handoffs_total',
      'agent, reason',
      'Nothing was handed over in this time.',
      'AgentHandoffsRising'
    ),
  ];

  local runs = [
    graph(
      'Executions that run, wait or are queued',
      'n8n only. What waits is resumed by a time or a person; what is queued has not begun.',
      [
        line(q.total('agent', q.ofAgent('handrail_running_calls')), '{{agent}} running'),
        line(q.total('agent', q.ofAgent('handrail_waiting_calls')), '{{agent}} waiting'),
        line(q.total('agent', q.ofAgent('handrail_queued_calls')), '{{agent}} queued'),
      ],
      'No source tells what runs.',
      'short',
      'AgentStuck',
      custom={ lineInterpolation: 'stepAfter' }
    ),
    graph(
      'How long the oldest execution has been running',
      'n8n only. Dashed: longer is stuck.',
      [
        line('time() - (' + q.best('agent', q.ofAgent('handrail_oldest_running_call_timestamp_seconds')) + ' > 0)'),
        limit(function(sla) sla.stuck.afterSeconds),
      ],
      'Nothing ran at the moment of any scrape.',
      'dtdurations',
      'AgentStuck',
      limited=true,
      custom={ spanNulls: false }
    ),
  ];

  d.board(
    config,
    'handrail-agent',
    'Handrail: agent',
    'What is wrong with an agent, since when, and against which limit. A line leads to its run-book, and to its last calls and executions.',
    [
      d.row('Now', figures),
      d.row('Latency', latency),
      d.row('Errors', errors[0:2]),
      d.row('Budget', errors[2:4]),
      d.row('Tokens and cost', use),
      d.row('Answers', answers),
      d.row('Executions', runs),
    ],
    'now-24h',
    d.oneAgent
  )

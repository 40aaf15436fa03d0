// Which agent fails? Every agent in one row, the worst first.
local colors = import 'lib/colors.libsonnet';
local d = import 'lib/dashboard.libsonnet';
local p = import 'lib/panels.libsonnet';
local q = import 'lib/query.libsonnet';
local states = import 'lib/states.libsonnet';
local s = q.names;

function(config)
  local perAgent(name) = '__data.fields.' + name;
  local links = [d.toAgent(perAgent('Agent')), d.toPage(config, perAgent('Agent'))];

  local number(title, description, query, noValue, steps, more={}) =
    p.stat([4, 4], title, description, p.now(query), noValue, { unit: 'short', thresholds: p.steps(steps) } + more);

  local figures = [
    number(
      'Agents watched',
      'Agents that the exporter lists, with those that are switched off.',
      'count(' + q.known + ')',
      'No agents: does the exporter run?',
      [[null, colors.ok]]
    ),
    number(
      'SLA broken',
      'Agents with a critical alert that fires. They stand at the top of the list below.',
      'count(max by (agent) (' + q.firing('severity="critical",agent!=""') + ')) or 0 * count(' + q.known + ')',
      'No agents: does the exporter run?',
      [[null, colors.ok], [1, colors.broken]]
    ),
    number(
      'Least budget left',
      'What the agent that is worst off has left of its error budget; below 0 it is spent.',
      'min(' + q.recorded(s.budgetRemaining) + ')',
      'No calls yet',
      [[null, colors.broken], [0, colors.warning], [0.25, colors.ok]],
      { unit: 'percentunit', decimals: 0 }
    ),
    number(
      'Firing alerts',
      'Alerts of all severities that fire now, those about Handrail itself too; not the watchdog.',
      'count(' + q.firing() + ') or 0 * count(' + q.watchdog + ')',
      'No watchdog: the rules are not evaluated',
      [[null, colors.ok], [1, colors.warning]]
    ),
    number(
      'Open tickets',
      'Tickets whose incidents are not over.',
      'sum(max by (agent) (' + q.scraped('handrail_open_tickets', q.agentOrNone) + '))',
      'No answer of the receiver',
      [[null, colors.ok], [1, colors.warning]]
    ),
    number(
      'Agents switched off',
      'By a person, by an alert, or where they run.',
      'count(' + states.off + ') or 0 * count(' + q.known + ')',
      'No agents: does the exporter run?',
      [[null, colors.ok], [1, colors.off]]
    ),
  ];

  local list = p.table(
    [24, 13],
    'Every agent, the worst first',
    'Broken: a critical alert fires. Not watched: its source cannot be read. Warning: an alert fires that can wait. Off: ' +
    'switched off, its alerts are held back. The three columns after the name are the SLA as its alerts judge it. ' +
    'Click a name to see the agent over time.',
    [
      { name: 'State', query: states.state, texts: states.stateTexts, width: 120 },
      { name: 'Agent', label: 'agent', links: links, width: 240 },
      {
        name: 'Latency',
        query: q.kept('AgentSlowCallStreak', '(' + q.best('agent', q.ofAgent('handrail_last_call_timestamp_seconds')) + ' > 0)'),
        texts: states.keptTexts('No call yet'),
      },
      { name: 'Errors', query: q.kept('AgentErrorRatioHigh', q.recorded(s.errorRatio)), texts: states.keptTexts('No calls') },
      { name: 'Tokens', query: q.kept('AgentTokenUsageHigh', q.recorded(s.tokenRatio)), texts: states.keptTexts('No baseline') },
      {
        name: 'Budget left',
        query: q.best('agent', q.recorded(s.budgetRemaining)),
        unit: 'percentunit',
        decimals: 0,
        steps: [[null, colors.broken], [0, colors.warning], [0.25, colors.ok]],
        noValue: 'No calls',
      },
      { name: 'Alerts', query: 'count by (agent) (' + q.firing('agent!=""') + ') or 0 * max by (agent) (' + q.known + ')' },
      { name: 'Tickets', query: q.best('agent', q.ofAgent('handrail_open_tickets')), noValue: '' },
      {
        name: 'Last call',
        query: '1000 * (' + q.best('agent', q.ofAgent('handrail_last_call_timestamp_seconds')) + ' > 0)',
        unit: 'dateTimeFromNow',
        noValue: 'Never',
      },
      { name: 'Owner', label: 'owner' },
      { name: 'SLA', label: 'sla' },
      // Gives owner and SLA; the number itself says nothing.
      { name: 'Known', query: 'max by (agent, owner, sla) (' + q.known + ')', hidden: true },
    ],
    'No agents: nothing was scraped in this time. Is the exporter up (Pipeline)?',
    [['State', true], ['Budget left', false]]
  );

  local labels = 'alertname, severity, agent, source, credential, lane';
  local firing = p.table(
    [14, 9],
    'What fires',
    'Every alert that fires now, the longest first. The name leads to its run-book.',
    [
      {
        name: 'Since',
        query: '1000 * min by (' + labels + ') (' + q.begun + ')\nand on (' + labels + ')\nmax by (' + labels + ') (' + q.firing() + ')',
        unit: 'dateTimeFromNow',
        width: 140,
      },
      { name: 'Severity', label: 'severity', width: 90 },
      {
        name: 'Alert',
        label: 'alertname',
        links: [d.toRunbook(config, '${__data.fields.Alert}', perAgent('Agent'))],
      },
      { name: 'Agent', label: 'agent', links: links },
      { name: 'Source', label: 'source' },
      { name: 'Credential', label: 'credential' },
      { name: 'Queue', label: 'lane' },
    ],
    'Nothing fires.',
    [['Since', false]]
  );

  local off = p.table(
    [10, 9],
    'Switched off',
    'Agents that are off, and when somebody last switched them with Handrail; nothing stands there when it was done elsewhere.',
    [
      { name: 'Agent', label: 'agent', links: links },
      { name: 'State', query: states.off, texts: [[2, 'Off', colors.off]] },
      {
        name: 'Switched with Handrail',
        query: '1000 * (' + q.best('agent', q.ofAgent('handrail_agent_flag_changed_timestamp_seconds')) +
               ' > 0)\nand on (agent)\n' + states.off,
        unit: 'dateTimeFromNow',
        noValue: 'Elsewhere',
      },
    ],
    'No agent is switched off.',
    [['Agent', false]]
  );

  d.board(
    config,
    'handrail-overview',
    'Handrail: overview',
    'Which agent fails, since when, and who has a ticket for it.',
    [d.row('At a glance', figures), d.row('Agents', [list]), d.row('Now', [firing, off])],
    'now-6h'
  )

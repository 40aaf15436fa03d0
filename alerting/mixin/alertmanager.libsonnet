// Who is told what, and when. Every way is told by itself: none waits for another, and none stops another.
{
  local config = $._config,
  local watchdog = 'alertname="HandrailWatchdog"',

  // Critical at any time; what can wait less often and, if the team says so, in office hours only.
  local told(receiver, matchers, later='severity!="critical"', except=[]) = [
    { receiver: receiver, matchers: matchers + ['severity="critical"'], continue: true },
    {
      receiver: receiver,
      matchers: matchers + [later] + ['owner!=%s' % std.escapeStringJson(owner) for owner in except],
      continue: true,
      repeat_interval: config.notify.warningRepeatInterval,
      [if config.notify.officeHours != null then 'active_time_intervals']: ['office-hours'],
    },
  ],

  local owners(way) = [owner for owner in config.owners if owner[way] != null && owner[way] != []],
  local own(way) = [owner.name for owner in owners(way)],

  // Two receivers of one Slack, because a button cannot be left out by a template: only an agent can be switched off.
  // An owner has the warnings of its agents to itself. What is critical the team is told too.
  local slackRoutes = if config.slack == null then [] else
    told('slack-agent', ['agent!=""'], except=own('slack')) + told('slack', ['agent=""']),

  local emailRoutes = if config.email == null then [] else
    told('email', [], later='severity="warning"', except=own('email')),

  local ownersRoutes = std.flattenArrays(
    [told('slack-agent-' + owner.name, ['agent!=""', 'owner="%s"' % owner.name]) for owner in owners('slack')] +
    [
      told('email-' + owner.name, ['agent!=""', 'owner="%s"' % owner.name], later='severity="warning"')
      for owner in owners('email')
    ]
  ),

  local forwardRoutes = if config.forward == null then [] else told('webhook', [], later='severity="warning"'),

  alertmanager:: {
    route: {
      // Whatever no route below takes, e.g. severity info where there is no Slack.
      receiver: 'nobody',
      group_by: ['alertname', 'agent'],
      group_wait: config.notify.groupWait,
      group_interval: config.notify.groupInterval,
      repeat_interval: config.notify.repeatInterval,
      routes: [
        // Once a minute. A repeat_interval of 1m would be looked at just before the minute is over, and so every two.
        {
          receiver: 'watchdog',
          matchers: [watchdog],
          group_wait: '0s',
          group_interval: '30s',
          repeat_interval: '50s',
        },
        // Worth seeing on a page, not worth a message.
        { receiver: 'nobody', matchers: ['alertname=~"Agent(Token)?BaselineNotReady"'] },
      ] + slackRoutes + ownersRoutes + emailRoutes + forwardRoutes + [
        // At any time: a ticket disturbs nobody, and an agent that is to be switched off does not wait for the morning.
        { receiver: 'receiver', matchers: ['severity!="info"'] },
      ],
    },
    // A label that both alerts lack counts as equal, so both must have the label.
    inhibit_rules: [
      {
        source_matchers: ['severity="critical"', 'agent!=""'],
        target_matchers: ['severity=~"warning|info"', 'agent!=""'],
        equal: ['alertname', 'agent'],
      },
      // What an agent does that is switched off matters no more. Whether it really is off is another kind of alert.
      {
        source_matchers: ['alertname="AgentDisabled"', 'agent!=""'],
        target_matchers: ['alertname=~"Agent.+"', 'alertname!="AgentDisabled"', 'agent!=""'],
        equal: ['agent'],
      },
      // A source that does not answer is not read completely either.
      {
        source_matchers: ['alertname="HandrailSourceDown"', 'source!=""'],
        target_matchers: ['alertname="HandrailSourceStale"', 'source!=""'],
        equal: ['source'],
      },
    ],
    [if config.notify.officeHours != null then 'time_intervals']: [{
      name: 'office-hours',
      time_intervals: [{
        weekdays: config.notify.officeHours.weekdays,
        times: [{ start_time: config.notify.officeHours.start, end_time: config.notify.officeHours.end }],
        location: config.notify.officeHours.timeZone,
      }],
    }],
    receivers: $.alertmanagerReceivers,
  },
}

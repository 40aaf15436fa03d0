// Who is told what. Every alert goes to Slack and to the receiver, and neither waits for the other.
local watchdog = 'alertname="HandrailWatchdog"';
local notWatchdog = 'alertname!="HandrailWatchdog"';

// Slack reads & < > as markup, and Alertmanager does not escape. & comes first, or it would escape the other two again.
local escaped = ' | reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;"';

local title =
  '[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ len .Alerts.Firing }}{{ end }}] ' +
  '{{ .GroupLabels.alertname' + escaped + ' }}' +
  '{{ with .GroupLabels.agent }} {{ .' + escaped + ' }}{{ end }}';

// An attachment that grows without end is cut by Slack in the middle of a line; ten lines say enough.
local text =
  '{{ range $i, $alert := .Alerts }}{{ if lt $i 10 }}' +
  '{{ if eq $alert.Status "resolved" }}Resolved: {{ end }}' +
  '{{ with $alert.Annotations.description }}{{ .' + escaped + ' }}' +
  '{{ else }}{{ $alert.Annotations.summary' + escaped + ' }}{{ end }}\n' +
  '{{ end }}{{ end }}' +
  '{{ if gt (len .Alerts) 10 }}+{{ len (slice .Alerts 10) }} more{{ end }}';

local color =
  '{{ if eq .Status "resolved" }}good' +
  '{{ else if eq .CommonLabels.severity "critical" }}danger' +
  '{{ else if eq .CommonLabels.severity "warning" }}warning' +
  '{{ else }}#439FE0{{ end }}';

{
  local config = $._config,
  local url = config.publicUrl,

  local button(label, target, style='default') = { type: 'button', text: label, url: target, style: style },
  local alertname = '{{ .GroupLabels.alertname | urlquery }}',
  local agent = '{{ .GroupLabels.agent | urlquery }}',
  // The braces and quotes of {alertname="…",agent="…"}, encoded as the silence form of Alertmanager expects them.
  local silence(matchers) =
    '{{ .ExternalURL }}/#/silences/new?filter=%7B' +
    std.join('%2C', ['%s%%3D%%22%s%%22' % [name, matchers[name]] for name in std.objectFields(matchers)]) + '%7D',

  local slackReceiver(name, dashboard, actions) = {
    name: name,
    slack_configs: [{
      api_url_file: config.slack.urlFile,
      [if config.slack.channel != null then 'channel']: config.slack.channel,
      send_resolved: true,
      link_names: false,
      color: color,
      title: title,
      title_link: dashboard,
      fallback: title,
      text: text,
      actions: actions,
    }],
  },

  local slackReceivers = [
    slackReceiver('slack-agent', url + '/?agent=' + agent, [
      button('Run-book', '%s/runbook/%s?agent=%s' % [url, alertname, agent]),
      button('Dashboard', url + '/?agent=' + agent),
      button('Silence', silence({ agent: agent, alertname: alertname })),
      button('Switch off', url + '/agents/' + agent + '/switch', style='danger'),
    ]),
    slackReceiver('slack', url + '/', [
      button('Run-book', url + '/runbook/' + alertname),
      button('Dashboard', url + '/'),
      button('Silence', silence({ alertname: alertname })),
    ]),
  ],

  // Two routes, because a button cannot be left out by a template: only an alert about an agent has one to switch off.
  local slackRoutes = [
    { receiver: 'slack-agent', matchers: [notWatchdog, 'agent!=""'], continue: true },
    { receiver: 'slack', matchers: [notWatchdog, 'agent=""'], continue: true },
  ],

  // Without a `timeout`, which Alertmanager 0.25 does not know: there a request ends with the flush, at group_interval.
  local webhook(sendResolved) = [{
    url: config.webhook.url,
    send_resolved: sendResolved,
    // 0 is no limit. A cut notification would carry the status of the alerts that happened to be kept.
    max_alerts: 0,
    http_config: { authorization: { type: 'Bearer', credentials_file: config.webhook.tokenFile } },
  }],

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
        { receiver: 'nobody', matchers: ['alertname="AgentTokenBaselineNotReady"'] },
      ] + (if config.slack == null then [] else slackRoutes) + [
        { receiver: 'receiver', matchers: [notWatchdog, 'severity!="info"'] },
      ],
    },
    // A label that both alerts lack counts as equal, so both must have an agent.
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
    ],
    receivers: [
      { name: 'receiver', webhook_configs: webhook(true) },
      { name: 'watchdog', webhook_configs: webhook(false) },
      { name: 'nobody' },
    ] + (if config.slack == null then [] else slackReceivers),
  },
}

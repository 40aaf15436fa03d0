// The ways to people and programs. Every secret is the name of a file; what a message says is in texts.libsonnet.
(import 'texts.libsonnet') +
{
  local config = $._config,
  local url = config.publicUrl,
  local texts = $.slackTexts,
  local alertname = '{{ .GroupLabels.alertname | urlquery }}',
  local agent = '{{ .GroupLabels.agent | urlquery }}',

  local button(label, target, style='default') = { type: 'button', text: label, url: target, style: style },
  // The braces and quotes of {alertname="…",agent="…"}, encoded as the silence form of Alertmanager expects them.
  local silence(matchers) =
    '{{ .ExternalURL }}/#/silences/new?filter=%7B' +
    std.join('%2C', ['%s%%3D%%22%s%%22' % [name, matchers[name]] for name in std.objectFields(matchers)]) + '%7D',

  // The ticket has no key yet when the message is sent, so the receiver leads on to it.
  local ticket(query) = if config.tickets then [button('Ticket', url + '/ticket/' + alertname + query)] else [],
  local about(dashboard, actions) = { dashboard: dashboard, actions: actions },
  // Slack shows at most five buttons.
  local anAgent = about(
    url + '/?agent=' + agent,
    [
      button('Run-book', '%s/runbook/%s?agent=%s' % [url, alertname, agent]),
      button('Dashboard', url + '/?agent=' + agent),
    ] + ticket('?agent=' + agent) + [
      button('Silence', silence({ agent: agent, alertname: alertname })),
      button('Switch off', url + '/agents/' + agent + '/switch', style='danger'),
    ]
  ),
  local handrail = about(
    url + '/',
    [
      button('Run-book', url + '/runbook/' + alertname),
      button('Dashboard', url + '/'),
    ] + ticket('') + [
      button('Silence', silence({ alertname: alertname })),
    ]
  ),

  local slackReceiver(name, slack, what) = {
    name: name,
    slack_configs: [{
      api_url_file: slack.urlFile,
      [if slack.channel != null then 'channel']: slack.channel,
      send_resolved: true,
      link_names: false,
      // Nothing but `pretext`, which there is none of: * _ ~ ` in a text stay what they are.
      mrkdwn_in: ['pretext'],
      color: $.slackColor,
      title: texts.title,
      title_link: what.dashboard,
      fallback: texts.short,
      text: texts.body,
      footer: texts.whose,
      actions: what.actions,
    }],
  },

  local links =
    '\n\nRun-book:  %(url)s/runbook/%(alertname)s{{ with .GroupLabels.agent }}?agent={{ . | urlquery }}{{ end }}' +
    '\nDashboard: %(url)s/{{ with .GroupLabels.agent }}?agent={{ . | urlquery }}{{ end }}' +
    if config.tickets then
      '\nTicket:    %(url)s/ticket/%(alertname)s{{ with .GroupLabels.agent }}?agent={{ . | urlquery }}{{ end }}'
    else '',

  local emailReceiver(name, to) = {
    name: name,
    email_configs: [{
      smarthost: config.email.smarthost,
      from: config.email.from,
      to: std.join(', ', to),
      [if config.email.user != null then 'auth_username']: config.email.user,
      [if config.email.passwordFile != null then 'auth_password_file']: config.email.passwordFile,
      require_tls: config.email.requireTls,
      send_resolved: true,
      headers: { Subject: $.plainTexts.title },
      // Text only: nothing in it can be loaded, pressed by a scanner or disguised.
      html: '',
      text: $.plainTexts.letter + links % { url: url, alertname: alertname },
    }],
  },

  local tls = import 'tls.libsonnet',
  local bearer(tokenFile) = { http_config: { authorization: { type: 'Bearer', credentials_file: tokenFile } } },
  // Without a `timeout`, which Alertmanager 0.25 does not know: there a request ends with the flush, at group_interval.
  local webhook(url, tokenFile, sendResolved) = [{
    url: url,
    send_resolved: sendResolved,
    // 0 is no limit. A cut notification would carry the status of the alerts that happened to be kept.
    max_alerts: 0,
  } + if tokenFile == null then {} else bearer(tokenFile)],

  local receiverTls = if config.receiverTls == null then {}
  else { http_config+: { tls_config: tls.client(config.receiverTls) } },
  local toReceiver(sendResolved) = [
    it + receiverTls
    for it in webhook(config.webhook.url, config.webhook.tokenFile, sendResolved)
  ],

  local slackOf(slack, suffix) = if slack == null then [] else [
    slackReceiver('slack-agent' + suffix, slack, anAgent),
  ],
  local emailOf(to, suffix) = if to == [] then [] else [emailReceiver('email' + suffix, to)],

  alertmanagerReceivers:: [
    { name: 'receiver', webhook_configs: toReceiver(true) },
    { name: 'watchdog', webhook_configs: toReceiver(false) },
    { name: 'nobody' },
  ] + slackOf(config.slack, '') + (
    if config.slack == null then [] else [slackReceiver('slack', config.slack, handrail)]
  ) + (
    if config.email == null then [] else emailOf(config.email.to, '')
  ) + (
    if config.forward == null then []
    else [{ name: 'webhook', webhook_configs: webhook(config.forward.url, config.forward.tokenFile, true) }]
  ) + std.flattenArrays([
    slackOf(owner.slack, '-' + owner.name) + emailOf(owner.email, '-' + owner.name)
    for owner in config.owners
  ]),
}

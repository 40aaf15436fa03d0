// What a person reads, on a phone and at night: what broke, since when, the numbers against the SLA, whose it is.
// Only what Alertmanager 0.25 can do, which has no function for dates or lengths.
local clean =
  // One line, no control, bidi or zero-width character, and at most 300 characters, counted as such and not as bytes.
  ' | reReplaceAll `[\\s\\p{Zl}\\p{Zp}]+` " " | reReplaceAll `[\\p{Cc}\\p{Cf}\\p{Co}]` ""' +
  ' | reReplaceAll `^(.{300}).+$` "${1}…"' +
  // A message has the links of its buttons and no other: an address inside a text can be read and not be pressed.
  ' | reReplaceAll `(?i)\\b(h)tt(ps?:)//` "${1}xx${2}//"';

// Slack reads & < > as markup, and Alertmanager does not escape. & comes first, or it would escape the other two again.
local slackEscaped = ' | reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;"';

// Slack folds a text of 700 characters or 5 line ends and cuts one of 8,000; a phone shows less.
local most = 5;

local texts(escaped) = {
  // Every text defines this for itself, so that the configuration stays one file.
  local defined = '{{ define "plain" }}{{ .' + clean + escaped + ' }}{{ end }}',
  local plain(value) = '{{ template "plain" ' + value + ' }}',
  local said(alert) = plain('(or %(a)s.Annotations.description %(a)s.Annotations.summary)' % { a: alert }),
  local at(time) = '{{ ' + time + '.UTC.Format "2006-01-02 15:04 MST" }}',
  local listed(alerts, line) =
    '{{ range $i, $alert := %s }}{{ if lt $i %d }}%s\n{{ end }}{{ end }}' % [alerts, most, line] +
    '{{ if gt (len %s) %d }}+%s more.\n{{ end }}' % [alerts, most, '{{ len (slice %s %d) }}' % [alerts, most]],
  local count = '{{ if gt (len .Alerts.Firing) 1 }}:{{ len .Alerts.Firing }}{{ end }}',
  local headline =
    '[{{ .Status | toUpper }}' + count + '] ' + plain('.GroupLabels.alertname') +
    '{{ with .GroupLabels.agent }} ' + plain('.') + '{{ end }}' +
    '{{ with .CommonLabels.severity }} (' + plain('.') + '){{ end }}',

  local body =
    listed('.Alerts.Firing', said('$alert') + ' Since ' + at('$alert.StartsAt') + '.') +
    '{{ if not .Alerts.Firing }}' +
    listed(
      '.Alerts.Resolved',
      'Over since ' + at('$alert.EndsAt') + ', after {{ ($alert.EndsAt.Sub $alert.StartsAt).Truncate 1000000000 }}. ' +
      'It was: ' + said('$alert')
    ) +
    'Over is not mended: look for the cause.' +
    '{{ else if .Alerts.Resolved }}{{ len .Alerts.Resolved }} more of this kind are over.{{ end }}',
  local whose =
    '{{ with .CommonLabels.sla }}SLA ' + plain('.') + ' · {{ end }}' +
    '{{ if .GroupLabels.agent }}owner: {{ with .CommonLabels.owner }}' + plain('.') + '{{ else }}nobody named{{ end }}' +
    '{{ else }}Handrail itself{{ end }}',

  title: defined + headline,
  // What a phone shows of it while it is locked.
  short: defined + headline + ': ' + said('(index .Alerts 0)'),
  body: defined + body,
  whose: defined + whose,
  // A mail has both in one text, and a text may define a name only once.
  letter: defined + body + '\n\n' + whose,
};

{
  slackTexts:: texts(slackEscaped),
  plainTexts:: texts(''),
  slackColor::
    '{{ if eq .Status "resolved" }}good' +
    '{{ else if eq .CommonLabels.severity "critical" }}danger' +
    '{{ else if eq .CommonLabels.severity "warning" }}warning' +
    '{{ else }}#439FE0{{ end }}',
}

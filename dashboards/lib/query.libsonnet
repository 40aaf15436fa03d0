// The PromQL that the dashboards are made of. Scraped series are chosen by job, instance and agent; recorded ones and
// ALERTS have no job and no instance.
local s = import '../../alerting/mixin/series.libsonnet';

// `first` gives the expressions for the first known value, from where the series was so many hours before the end.
local grown(series, week, first) =
  local ago(hours) = if hours % 24 == 0 then '%dd' % (hours / 24) else '%dh' % hours;
  local at(hours) = series(if hours == 0 then '' else ' offset ' + ago(hours));
  local before(hours) = at(168 * week + hours);
  '((\n  ' + before(0) + '\n  - (\n    ' + std.join('\n    or\n    ', [before(168)] + first(before)) + '\n  )\n) >= 0)';

{
  names: s,

  local selected(name, matchers) = name + '{' + std.join(',', [m for m in matchers if m != '']) + '}',

  // The names that are chosen. Unless told otherwise, Grafana leaves the quotes of a name as they are, and the query is
  // broken; between backticks everything is itself, but for a backtick.
  local chosen = '${agent:regex}',
  agent: 'agent=~`' + chosen + '`',
  agentOrNone: 'agent=~`' + chosen + '|`',

  // A scraped series, of any agent or of none.
  scraped(name, more=''):: selected(name, ['job=~"$job"', 'instance=~"$instance"', more]),

  ofAgent(name, more=''):: selected(name, ['job=~"$job"', 'instance=~"$instance"', self.agent, more]),

  recorded(name, more=''):: selected(name, [self.agent, more]),

  // Alerts of this mixin and no others; those about no agent are always among them. The watchdog always fires.
  local ours = ['alertname=~"Agent.+|Handrail.+|Worker.+"', 'alertname!="HandrailWatchdog"', self.agentOrNone],
  firing(more=''):: selected('ALERTS', ['alertstate="firing"'] + ours + [more]),
  // It always fires where the rules are evaluated.
  watchdog:: 'ALERTS{alertstate="firing",alertname="HandrailWatchdog"}',
  begun:: selected('ALERTS_FOR_STATE', ours),

  known:: self.recorded(s.agentInfo),

  best(labels, series):: 'max by (' + labels + ') (' + series + ')',
  total(labels, series):: 'sum by (' + labels + ') (' + series + ')',

  // What fires of one alert as 1, what is known and does not fire as 0, everything else as -1.
  kept(alertname, known)::
    'max by (agent) (\n  ' + self.firing('alertname="' + alertname + '"') +
    '\n  or on (agent)\n  0 * ' + known + '\n  or on (agent)\n  (0 * ' + self.known + ' - 1)\n)',

  // A number of the agent's own SLA, for each agent.
  ofSla(slas, number)::
    std.join('\nor\n', [number(sla) + ' * ' + self.recorded(s.agentInfo, 'sla="' + sla.name + '"') for sla in slas]),

  // The same of a series that is recorded for each number, e.g. for the days of a baseline.
  seriesOfSla(slas, series):: std.join('\nor\n', [
    series(sla) + '\n* on (agent) group_left (sla)\n' + self.recorded(s.agentInfo, 'sla="' + sla.name + '"')
    for sla in slas
  ]),

  // Whole events of seven days, so many weeks ago, not extrapolated ones: what a counter is less what it was, or less its
  // first known value where it is younger. `series` gives it for an offset. Nothing after the ledger was lost.
  // What is younger than the first look is looked for once more, closer.
  ofWeek(series, week=0):: grown(series, week, function(at) [
    'min_over_time((' + at(0) + ')[' + range + '])'
    for range in ['7d:3h', '4h:1m']
  ]),

  // The same of a recorded sum, whose first known value stands in its sparse series; what began minutes ago may
  // be in that later, or not yet.
  ofWeekRecorded(sum, week=0):: grown(function(offset) self.recorded(sum) + offset, week, function(_)
    local ago = if week == 0 then '' else ' offset %dd' % (7 * week);
    local soon = 'min_over_time(' + self.recorded(sum) + '[10m]' + ago + ')';
    ['min_over_time(' + self.recorded(s.sparse(sum)) + '[7d]' + ago + ') < ' + soon, soon]),

  // The same for what has many series, of which a range of days would be ten thousands of samples each: of what is younger,
  // what it was at the first of these looks.
  ofWeekRoughly(series):: grown(series, 0, function(at) [
    at(hours)
    for hours in [144, 120, 96, 72, 48, 24, 12, 6, 3, 1]
  ] + ['min_over_time((' + at(0) + ')[1h:1m])']),
}

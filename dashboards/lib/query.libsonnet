// The PromQL that the dashboards are made of. Scraped series are chosen by job, instance and agent; recorded ones and
// ALERTS have no job and no instance.
local s = import '../../alerting/mixin/series.libsonnet';

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
  ofWeek(series, week=0):: (
    local at(ago) = series(if ago == 0 then '' else ' offset ' + 7 * ago + 'd');
    // What is younger than the first look is looked for once more, closer.
    local first(range) = '\n    or\n    min_over_time((' + at(week) + ')[' + range + '])';
    '((\n  ' + at(week) + '\n  - (\n    ' + at(week + 1) + first('7d:3h') + first('4h:1m') + '\n  )\n) >= 0)'
  ),
}

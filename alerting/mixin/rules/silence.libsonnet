// When an agent is expected to be called, up to when that is known, and what is usual where no schedule says it.
local s = import '../series.libsonnet';

{
  // As it stands, and while the exporter does not answer, as it last stood.
  local latest(metric) = 'last_over_time(%s[%s])' % [metric, $._config.bridge],
  // The receiver alone changes a flag, so while it is away its last word holds.
  local flag(metric) = 'last_over_time(%s[1h])' % metric,

  local ofSource(values) = |||
    max by (agent) (
      %s
      * on (source) group_left ()
      max by (source) (%s)
    )
  ||| % [latest('handrail_agent_info'), values],

  // What Cloudflare's own count found missing was missing from the gateways' log. `found_by` keeps the two apart.
  local gaps = std.foldl(
    function(expr, change) 'label_replace(%s, %s)' % [expr, change],
    [
      '"found_by", "$1", "source", "(.*)"',
      '"source", "cloudflare/$1", "source", "cloudflare-analytics/(.*)"',
    ],
    latest('handrail_source_coverage_gap_last_timestamp_seconds')
  ),

  local times = [
    {
      record: s.readUntil,
      expr: ofSource(latest('handrail_source_read_until_timestamp_seconds')),
    },
    {
      record: s.lastGap,
      expr: ofSource(gaps),
    },
    {
      record: s.callDue,
      // The exporter does not see an agent's flag. Off, nothing is due; on again, all that came due meanwhile is not, and
      // the agent has as long as its schedule may be silent.
      expr: |||
        (
          (
            max by (agent) (%(interval)s)
            + on (agent)
            (max by (agent) (%(changed)s) > on (agent) max by (agent) (%(due)s))
          )
          or on (agent)
          max by (agent) (%(due)s)
        )
        unless on (agent)
        min by (agent) (%(enabled)s) == 0
      ||| % {
        due: latest('handrail_agent_next_call_due_timestamp_seconds'),
        interval: latest('handrail_agent_schedule_interval_seconds'),
        changed: flag('handrail_agent_flag_changed_timestamp_seconds'),
        enabled: flag('handrail_agent_flag_enabled'),
      },
    },
  ],

  // The least calls of any hour that ended up to an hour and a half before or after this one, so many weeks ago: then
  // neither the ends of working hours nor a change of the clocks, which moves them by an hour, look like silence.
  local sameHourOfWeek(week) =
    'label_replace(min_over_time(%s[3h] offset %dh30m), "week", "%d", "", "")' % [s.calls('1h'), week * 168 - 2, week],
  local weeks = std.join('\n  or\n  ', [sameHourOfWeek(week) for week in std.range(1, 4)]),

  local usual = {
    record: s.usualCalls,
    // Of four weeks the second lowest, so that one holiday does not hide what is usual; nothing until three are known.
    expr: |||
      quantile by (agent) (
        1 / 3,
        %(weeks)s
      )
      and on (agent)
      count by (agent) (
        %(weeks)s
      ) >= 3
    ||| % { weeks: weeks },
  },

  prometheusRules+:: {
    groups+: if std.all([sla.silent == null for sla in $._config.slas]) then [] else [
      { name: 'handrail-silence', rules: times },
      // What is usual moves slowly, and looking back over weeks costs much.
      { name: 'handrail-silence-baseline', interval: '1m', rules: [usual] },
    ],
  },
}

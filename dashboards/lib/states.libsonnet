// How an agent is, as one number that sorts by how much it needs somebody: the larger, the sooner.
local colors = import 'colors.libsonnet';
local q = import 'query.libsonnet';

{
  // 2 for every agent that is off, by its workflow or by its flag.
  off: '(2 + (min by (agent) (' + q.ofAgent('handrail_agent_enabled') + ' or ' + q.ofAgent('handrail_agent_flag_enabled') +
       ') == 0))',

  // As Handrail's own page has it, off hides everything else: the alerts of such an agent are held back.
  state:
    self.off + '\nor on (agent)\nmax by (agent) (\n' +
    '  5 * ' + q.firing('severity="critical",agent!=""') +
    '\n  or\n  4 + (max by (agent, source) (' + q.ofAgent('handrail_agent_info') + ') * on (source) group_left ()' +
    ' (max by (source) (' + q.scraped('handrail_source_up') + ') == 0))' +
    '\n  or\n  3 * ' + q.firing('severity="warning",agent!=""') +
    '\n  or\n  ' + q.known + '\n)',

  stateTexts: [
    [5, 'Broken', colors.broken],
    [4, 'Not watched', colors.unknown],
    [3, 'Warning', colors.warning],
    [2, 'Off', colors.off],
    [1, 'OK', colors.ok],
  ],

  keptTexts(unknown):: [[1, 'Broken', colors.broken], [0, 'OK', colors.ok], [-1, unknown, colors.off]],
}

// A group of more than twenty rules is hard to read and slow to evaluate, so a long one becomes several.
{
  local most = 20,

  inGroups(name, rules, more={}):: [
    { name: '%s-%d' % [name, part], rules: rules[part * most:(part + 1) * most] } + more
    for part in std.range(0, std.floor((std.length(rules) - 1) / most))
  ],
}

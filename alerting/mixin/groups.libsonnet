// A group of more than twenty rules is hard to read and slow to evaluate, so a long one becomes several; mixtool and
// Mimir take no more, and mixtool takes no name of more than forty characters.
{
  local most = 20,
  local longest = 40,

  inGroups(name, rules, more={}):: [
    { name: '%s-%d' % [name, part], rules: rules[part * most:(part + 1) * most] } + more
    for part in std.range(0, std.floor((std.length(rules) - 1) / most))
  ],

  // One group, and more only if there are too many rules for one.
  inFewGroups(name, rules, more={}, first=most)::
    [{ name: name, rules: rules[:first] } + more] + $.inGroups(name, rules[first:], more),

  // The name of an SLA may be long, and its group must be another one than that of every other SLA.
  groupName(prefix, name)::
    if std.length(prefix + name) <= longest then prefix + name
    else (prefix + name)[:longest - 7] + '-' + std.md5(name)[:6],
}

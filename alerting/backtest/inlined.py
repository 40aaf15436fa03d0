"""An alert's expression without the recorded series that hold what an older file asked for, e.g. another window.

What was not asked for was never recorded. So a recorded series is replaced by its own rule, unless some rule looks back
on it, over a range or by an offset, or chooses it by a label that its rule does not set. Those that stay (sums of
counters, the hours of tokens, who is held to what) depend on no number of an SLA.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from alerting.alert_rules import RecordingRule, Rules

_NAME = re.compile(r"(?<![\w:])(?P<name>(?:agent|source):[\w:]+)(?P<selector>\{[^}]*\})?(?P<back>\s*(?:\[|offset\b))?")
_MATCHER = re.compile(r'(\w+)\s*=\s*"([^"]*)"')
_METRIC = re.compile(r"(?<![\w:])(?:(?:agent|source):[\w:]+|(?:handrail|alertmanager|prometheus)_\w+|up)(?![\w:(])")


class Inliner:
    """Rewrites the expressions of one set of rules."""

    def __init__(self, rules: Rules) -> None:
        expressions = [*(rule.expr for rule in rules.records), *(rule.expr for rule in rules.alerts)]
        looked_back_on = set(_looked_back_on(expressions))
        self._records = [rule for rule in rules.records if rule.name not in looked_back_on]

    def inlined(self, expr: str) -> str:
        """The expression with every recorded series replaced that can be, to any depth."""
        return _NAME.sub(self._replaced, expr)

    def _replaced(self, found: re.Match[str]) -> str:
        asked = dict(_MATCHER.findall(found["selector"] or "")).items()
        rules = [rule for rule in self._records if rule.name == found["name"] and asked <= rule.labels.items()]
        return f"({' or '.join(map(self._in_brackets, rules))})" if rules else found[0]

    def _in_brackets(self, rule: RecordingRule) -> str:
        return f"({self.inlined(rule.expr).strip()})"


def metrics_of(expr: str) -> frozenset[str]:
    """The names of the series that an expression reads."""
    return frozenset(_METRIC.findall(expr))


def _looked_back_on(expressions: Iterable[str]) -> Iterator[str]:
    for expr in expressions:
        yield from (found["name"] for found in _NAME.finditer(expr) if found["back"])

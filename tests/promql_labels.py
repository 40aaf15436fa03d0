"""Which labels the result of a PromQL expression has, and which it asks for that nothing gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import promql_parser as promql

# The labels that every sample has; None where nothing is known yet, so that any may be asked for.
Labels = frozenset[str] | None
NONE: frozenset[str] = frozenset()
# Aggregations that keep whole series, with all their labels.
_SELECTING = {"topk", "bottomk", "limitk"}


@dataclass
class Inference:
    """Walks expressions. `exposed` says which labels a metric has, `complaints` collects what is asked for in vain."""

    exposed: Callable[[str], Labels]
    complaints: list[str] = field(default_factory=list)

    def of(self, text: str) -> Labels:
        """The labels of the expression's result; ValueError if it is no PromQL."""
        return self._labels(promql.parse(text))

    def _wants(self, wanted: Iterable[str], given: Labels, where: object) -> None:
        if given is not None and (missing := set(wanted) - given):
            self.complaints.append(f"{', '.join(sorted(missing))} in {str(where)[:120]}")

    def _labels(self, expr: promql.Expr) -> Labels:
        match expr:
            case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
                return self._labels(expr.expr)
            case promql.MatrixSelector():
                return self._labels(expr.vector_selector)
            case promql.VectorSelector():
                return self._selected(expr)
            case promql.AggregateExpr():
                return self._aggregated(expr)
            case promql.BinaryExpr():
                return self._combined(expr)
            case promql.Call():
                return self._called(expr)
        return NONE

    def _selected(self, expr: promql.VectorSelector) -> Labels:
        matchers = {matcher.name: matcher.value for matcher in expr.matchers.matchers}
        given = self.exposed(expr.name or matchers.get("__name__", ""))
        self._wants(set(matchers) - {"__name__"}, given, expr)
        return given

    def _aggregated(self, expr: promql.AggregateExpr) -> Labels:
        given = self._labels(expr.expr)
        if expr.modifier is None:
            return given if str(expr.op) in _SELECTING else NONE
        named = frozenset(expr.modifier.labels)
        self._wants(named, given, expr)
        if str(expr.op) in _SELECTING:
            return given
        if expr.modifier.type == promql.AggModifierType.By:
            return named
        return None if given is None else given - named

    def _combined(self, expr: promql.BinaryExpr) -> Labels:
        left, right = self._labels(expr.lhs), self._labels(expr.rhs)
        if _is_scalar(expr.rhs):
            return left
        if _is_scalar(expr.lhs):
            return right
        modifier = expr.modifier
        matching = modifier.matching if modifier else None
        on = matching is not None and matching.type == promql.LabelModifierType.Include
        if matching is not None:
            self._wants(matching.labels, left, expr)
            self._wants(matching.labels, right, expr)
        if str(expr.op) in ("and", "unless"):
            return left
        if str(expr.op) == "or":
            return _both(left, right)
        if modifier and modifier.card == promql.VectorMatchCardinality.ManyToOne:
            self._wants(modifier.group_labels, right, expr)
            return None if left is None else left | frozenset(modifier.group_labels)
        return frozenset(matching.labels) if on else _both(left, right)

    def _called(self, expr: promql.Call) -> Labels:
        vectors = [argument for argument in expr.args if not _is_scalar(argument)]
        given = self._labels(vectors[0]) if vectors else NONE
        if expr.func.name == "label_replace":
            _, target, _, source, _ = expr.args
            self._wants({source.val} - {""}, given, expr)
            return None if given is None else given | {target.val}
        return given


def _both(left: Labels, right: Labels) -> Labels:
    if left is None or right is None:
        return left if right is None else right
    return left & right


def _is_scalar(expr: promql.Expr) -> bool:
    match expr:
        case promql.NumberLiteral() | promql.StringLiteral():
            return True
        case promql.ParenExpr() | promql.UnaryExpr():
            return _is_scalar(expr.expr)
        case promql.Call():
            return expr.func.return_type == promql.ValueType.Scalar
        case promql.BinaryExpr():
            return _is_scalar(expr.lhs) and _is_scalar(expr.rhs)
    return False


def recorded(rules: list[Mapping[str, Any]], exposed: Mapping[str, Labels]) -> dict[str, Labels]:
    """The labels of every recorded series. Rules read each other and themselves: asked until nothing changes."""
    known: dict[str, Labels] = {}
    while (found := _once(rules, {**known, **exposed})) != known:
        known = found
    return known


def _once(rules: list[Mapping[str, Any]], known: Mapping[str, Labels]) -> dict[str, Labels]:
    found: dict[str, Labels] = {}
    for rule in rules:
        of_rule = Inference(known.get).of(rule["expr"])
        labels = None if of_rule is None else of_rule | frozenset(rule.get("labels", {}))
        found[rule["record"]] = _both(found[rule["record"]], labels) if rule["record"] in found else labels
    return found

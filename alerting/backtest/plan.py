"""Which rules to replay: those of the SLAs, as they are and with the proposed numbers side by side."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from alerting.alert_rules import Rules
from alerting.backtest.inlined import Inliner, metrics_of


@dataclass(frozen=True, slots=True)
class Version:
    """A rule as it is to be asked about the past."""

    expr: str
    for_: timedelta
    keep_firing_for: timedelta


@dataclass(frozen=True, slots=True)
class Compared:
    """One rule now and as proposed; None where there is no such rule. `variant` tells rules of one alert apart.

    `recount`: its series must be counted anew for the proposal.
    """

    alert: str
    severity: str
    variant: str
    now: Version | None
    proposed: Version | None
    recount: bool = False

    @property
    def reads(self) -> frozenset[str]:
        """The names of all series it reads, in either version."""
        return frozenset().union(*(metrics_of(version.expr) for version in (self.now, self.proposed) if version))


def compared(
    now: Rules,
    proposed: Rules | None,
    *,
    slas: Collection[str],
    counted_by: Mapping[str, Collection[str]],
    changed: Collection[str] = (),
) -> Iterator[Compared]:
    """The rules of these SLAs; with a proposal, those that it changes. `changed` are its paths.

    `counted_by` says which series the exporter counts by which of those paths.
    """
    before, after = _versions(now, slas), _versions(proposed, slas) if proposed is not None else {}
    recounted = {name for name, paths in counted_by.items() if not set(paths).isdisjoint(changed)}
    for name, labels in dict.fromkeys([*before, *after]):
        key = (name, labels)
        more = sorted((label, value) for label, value in labels if label not in ("severity", "sla"))
        variant = ", ".join(f"{label} {value}" for label, value in more)
        one = Compared(name, dict(labels)["severity"], variant, before.get(key), after.get(key))
        one = replace(one, recount=not one.reads.isdisjoint(recounted))
        if proposed is None or one.now != one.proposed or one.recount:
            yield one


def _versions(rules: Rules, slas: Collection[str]) -> dict[tuple[str, frozenset[tuple[str, str]]], Version]:
    """By name and labels, which tell rules of one name apart and hold no number of an SLA."""
    inliner = Inliner(rules)
    return {
        (rule.name, frozenset(rule.labels.items())): Version(
            inliner.inlined(rule.expr), rule.for_, rule.keep_firing_for
        )
        for rule in rules.alerts
        if rule.sla in slas
    }

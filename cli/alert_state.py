"""What Prometheus knows about an alert: whether it fires or waits now, and when each of its series last fired."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from alerting.backtest.firings import firings
from stack.past import Grid, Past

# Not worth telling apart by: the same for every series of an alert, or said elsewhere.
_HIDDEN = ("__name__", "alertname", "alertstate", "severity", "sla", "owner")


@dataclass(frozen=True, slots=True)
class StateNow:
    """A series that is pending or firing; `about` is empty where an alert has but one, `since` its first evaluation."""

    state: str
    about: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class LastTime:
    """When a series last fired, for how long (to the last evaluation if it still does), and how often in all."""

    about: str
    begins: datetime
    lasted: timedelta
    fired: int


def state_now(past: Past, alert: str, agent: str | None) -> Iterator[StateNow]:
    """PastUnknown when Prometheus cannot be asked."""
    since = {_identity(labels): value for labels, value in past.now(_series("ALERTS_FOR_STATE", alert, agent))}
    for labels, _ in past.now(_series("ALERTS", alert, agent)):
        began = since.get(_identity(labels))
        yield StateNow(labels["alertstate"], _about(labels), None if began is None else _moment(began))


def last_times(past: Past, alert: str, agent: str | None, grid: Grid) -> Iterator[LastTime]:
    """Of every series that fired within the grid; PastUnknown when Prometheus cannot be asked."""
    for each in past.moments(_series("ALERTS", alert, agent, alertstate="firing"), grid):
        times = list(firings(each.at, last=grid.last, step=grid.step))
        lasted = timedelta(milliseconds=times[-1].ends - times[-1].begins)
        yield LastTime(_about(each.labels), _moment(times[-1].begins / 1000), lasted, len(times))


def _series(metric: str, alert: str, agent: str | None, **labels: str) -> str:
    wanted = {"alertname": alert, **({"agent": agent} if agent else {}), **labels}
    return metric + "{" + ",".join(f"{name}={json.dumps(value)}" for name, value in wanted.items()) + "}"


def _identity(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in labels.items() if name not in ("__name__", "alertstate"))


def _about(labels: Mapping[str, str]) -> str:
    shown = {name: value for name, value in labels.items() if name not in _HIDDEN}
    agent = shown.pop("agent", "")
    more = ", ".join(f"{name} {value}" for name, value in sorted(shown.items()))
    return f"{agent} ({more})" if agent and more else agent or more


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

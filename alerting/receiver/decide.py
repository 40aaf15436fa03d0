"""What a notification means, decided without touching anything; every decision says why.

Automation only ever switches an agent off: nothing here enables one, and "resolved" does not mean "fixed".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alerting.receiver.payload import Notification

WATCHDOG = "HandrailWatchdog"


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """A new incident, or a new episode of one that had resolved: it gets a ticket."""


@dataclass(frozen=True, slots=True)
class Change:
    """The same incident, in another state: its ticket gets a comment."""


@dataclass(frozen=True, slots=True)
class Resolve:
    """No alert of the incident fires any more: its ticket is closed."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Nothing new: a repeat, or a copy from another Alertmanager."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The watchdog's proof that the path from Prometheus to here is open."""


@dataclass(frozen=True, slots=True)
class SwitchOff:
    """The agent opted in to being switched off by this alert."""

    agent: str


Action = OpenIncident | Change | Resolve | Repeat | Heartbeat | SwitchOff


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, in order, and why."""

    actions: tuple[Action, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the incident: its newest episode."""

    state: str
    digest: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Which alerts switch which agent off, from the team's file and never from the alert alone."""

    kill_on: Mapping[str, frozenset[str]]


def decide(notification: Notification, known: Known | None, policy: Policy) -> Decision:
    """What follows from `notification`, given the newest episode of its incident."""
    firing = notification.firing
    if notification.alertname == WATCHDOG:
        if not firing:
            return Decision((), "the watchdog itself ended: Prometheus no longer says that it is well")
        return Decision((Heartbeat(),), "the watchdog's heartbeat")
    if all(alert.labels.get("severity") == "info" for alert in notification.alerts):
        return Decision((), "severity info is for the pages, not for tickets")
    is_open = known is not None and known.state == "firing"
    if not firing:
        return Decision((Resolve(),), "all alerts resolved") if is_open else Decision((), "resolved, and none is open")
    kills = tuple(SwitchOff(agent) for agent in sorted(_agents_to_stop(notification, policy)))
    if not is_open:
        return Decision((OpenIncident(), *kills), "firing, and none is open")
    if known is not None and known.digest == notification.state_digest:
        return Decision((Repeat(),), "the same state as before")
    return Decision((Change(), *kills), "firing, in another state than before")


def _agents_to_stop(notification: Notification, policy: Policy) -> set[str]:
    return {
        alert.agent
        for alert in notification.firing
        if alert.agent and alert.name in policy.kill_on.get(alert.agent, ())
    }

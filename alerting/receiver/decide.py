"""What a notification means, decided without touching anything; every decision gives one of a closed set of reasons.

It is held against what is remembered of each alert, never against former notifications: firing, over and firing again
are two episodes, and a copy, a repeat or what comes late or out of order is none. Automation only ever switches an
agent off: nothing here enables one, and "resolved" does not mean "fixed".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal

from alerting.receiver.payload import Alert, Notification, Told

WATCHDOG = "HandrailWatchdog"

Verdict = Literal["open", "change", "resolve", "repeat", "hold", "ask", "ignore", "heartbeat"]


class Reason(Enum):
    """Why; each belongs to one verdict and is told to people by its text."""

    FIRST_FIRING = ("open", "firing, and none was ever open")
    FIRES_AGAIN = ("open", "firing again after it had resolved: a new episode")
    CAME_BACK = ("open", "firing long after it had resolved, though since before that: it came back")
    ALERT_JOINED = ("change", "firing, and one more alert than before")
    ALERT_ENDED = ("change", "firing, and one alert fewer than before")
    ALERTS_CHANGED = ("change", "firing, and other alerts than before")
    OTHERS_FIRE = ("change", "resolved here, and other groups of the incident still fire")
    ALL_RESOLVED = ("resolve", "all alerts resolved")
    SAME_STATE = ("repeat", "the same state as before")
    COPY = ("repeat", "the same state as before, from another Alertmanager")
    REGROUPED = ("repeat", "the same state as before, under another groupKey")
    FEWER_TOLD = ("repeat", "firing as before, but not all of its alerts are told of: silenced, inhibited or gone")
    TRUNCATED = ("repeat", "firing as before, and cut short: max_alerts should be 0")
    LATE_FIRING = ("hold", "firing since before it resolved: probably a late copy, Alertmanager will be asked")
    REST_NOT_TOLD = ("ask", "what is told resolved, but not the rest of the incident: Alertmanager will be asked")
    TRUNCATED_RESOLVED = ("ask", "what is told resolved, but it is cut short: Alertmanager will be asked")
    RESOLVED_LATE = ("ignore", "resolved before it began to fire: a late notification")
    RESOLVED_AGAIN = ("ignore", "resolved, as is known")
    RESOLVED_UNSEEN = ("ignore", "resolved, and none was ever open")
    INFORMATION = ("ignore", "severity info is for the pages, not for tickets")
    WATCHDOG_ENDED = ("ignore", "the watchdog itself ended: Prometheus no longer says that it is well")
    WATCHDOG_HEARD = ("heartbeat", "the watchdog's heartbeat")

    def __init__(self, verdict: Verdict, text: str) -> None:
        self.verdict = verdict
        self.text = text

    @property
    def label(self) -> str:
        """As metrics name it."""
        return self.name.lower()


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
    """Nothing new of an incident that is open."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The watchdog's proof that the path from Prometheus to here is open."""


@dataclass(frozen=True, slots=True)
class SwitchOff:
    """The agent opted in to being switched off by this alert."""

    agent: str


Action = OpenIncident | Change | Resolve | Repeat | Heartbeat | SwitchOff


@dataclass(frozen=True, slots=True)
class Remembered:
    """One alert as it was last understood; times are epoch seconds.

    `ends_at` is when it last ended, by Prometheus' clock, and `ended_seen_at` when that was told; `held_at` is when
    it was told to fire since before that, which has not been looked into yet.
    """

    firing: bool
    starts_at: float
    ends_at: float | None = None
    ended_seen_at: float | None = None
    held_at: float | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the incident: its newest episode, if there was one, and its alerts by fingerprint."""

    episode: int = 0
    is_open: bool = False
    alerts: Mapping[str, Remembered] = field(default_factory=dict)
    sender: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which alerts switch which agent off, from the team's file and never from the alert alone.

    `late_s`: for how long after its end a firing copy of an alert may still be under way from an Alertmanager.
    """

    kill_on: Mapping[str, frozenset[str]]
    late_s: float = 315.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, in order, why, and what to remember of the alerts that were told of."""

    actions: tuple[Action, ...]
    reason: Reason
    alerts: Mapping[str, Remembered] = field(default_factory=dict)


class _Step(Enum):
    JOINED, CAME_BACK, SAME, LATE, ENDED, ENDED_BEFORE, ENDED_AGAIN, ENDED_UNSEEN = range(8)


_FIRING = {_Step.JOINED, _Step.CAME_BACK, _Step.SAME}


def decide(told: Told, known: Known, policy: Policy, now: float) -> Decision:
    """What follows from `told`, given what is known of its incident; `now` is when it came, in epoch seconds."""
    notification = told.notification
    if notification.alertname == WATCHDOG:
        if not notification.firing:
            return Decision((), Reason.WATCHDOG_ENDED)
        return Decision((Heartbeat(),), Reason.WATCHDOG_HEARD)
    if all(alert.labels.get("severity") == "info" for alert in notification.alerts):
        return Decision((), Reason.INFORMATION)
    alerts, steps = dict(known.alerts), set[_Step]()
    for alert in notification.alerts:
        step, alerts[alert.fingerprint] = _step(alert, alerts.get(alert.fingerprint), told, policy, now)
        steps.add(step)
    reason = _of_open(told, known, alerts, steps) if known.is_open else _of_closed(known, steps)
    changed = {name: remembered for name, remembered in alerts.items() if known.alerts.get(name) != remembered}
    return Decision(_actions(reason, notification, policy, joined=bool(steps & _JOINING)), reason, changed)


_JOINING = {_Step.JOINED, _Step.CAME_BACK}


def _step(alert: Alert, before: Remembered | None, told: Told, policy: Policy, now: float) -> tuple[_Step, Remembered]:
    """What the alert's state means, and what to remember of it."""
    starts_at = alert.starts_at.timestamp()
    if alert.status == "resolved":
        # One that is no end, as a proxy might send it, is taken for now.
        ends_at = alert.ends_at.timestamp() if alert.ends_at > alert.starts_at else now
        ended = Remembered(firing=False, starts_at=starts_at, ends_at=ends_at, ended_seen_at=now)
        if before is None:
            return _Step.ENDED_UNSEEN, ended
        if not before.firing:
            return _Step.ENDED_AGAIN, replace(before, ends_at=max(ends_at, before.ends_at or 0.0))
        return (_Step.ENDED_BEFORE, before) if ends_at <= before.starts_at else (_Step.ENDED, ended)
    if before is not None and before.firing:
        return _Step.SAME, before
    firing = Remembered(firing=True, starts_at=starts_at)
    if before is None or before.ends_at is None:
        return _Step.JOINED, firing
    firing = replace(firing, ends_at=before.ends_at, ended_seen_at=before.ended_seen_at)
    if starts_at > before.ends_at:
        return _Step.JOINED, firing
    if told.confirmed or now - (before.ended_seen_at or 0.0) > policy.late_s:
        return _Step.CAME_BACK, firing
    return _Step.LATE, replace(before, held_at=before.held_at or now)


def _of_closed(known: Known, steps: set[_Step]) -> Reason:
    if steps & _FIRING:
        if not known.episode:
            return Reason.FIRST_FIRING
        return Reason.FIRES_AGAIN if steps & {_Step.JOINED, _Step.SAME} else Reason.CAME_BACK
    if _Step.LATE in steps:
        return Reason.LATE_FIRING
    return Reason.RESOLVED_UNSEEN if steps == {_Step.ENDED_UNSEEN} else Reason.RESOLVED_AGAIN


def _of_open(told: Told, known: Known, alerts: Mapping[str, Remembered], steps: set[_Step]) -> Reason:
    notification, still = told.notification, {name for name, alert in alerts.items() if alert.firing}
    missing = still - {alert.fingerprint for alert in notification.alerts}
    ended, joined = _Step.ENDED in steps, bool(steps & _JOINING)
    if not steps & _FIRING and _Step.LATE not in steps and _Step.ENDED_BEFORE not in steps:
        if notification.truncated_alerts:
            return Reason.TRUNCATED_RESOLVED
        if not missing:
            return Reason.ALL_RESOLVED
        if not told.whole:
            return Reason.OTHERS_FIRE if ended else Reason.RESOLVED_AGAIN
        return Reason.REST_NOT_TOLD
    if joined or ended:
        return Reason.ALERTS_CHANGED if joined and ended else Reason.ALERT_JOINED if joined else Reason.ALERT_ENDED
    if _Step.LATE in steps:
        return Reason.LATE_FIRING
    if _Step.ENDED_BEFORE in steps:
        return Reason.RESOLVED_LATE
    return _of_repeat(told, known, missing=bool(missing))


def _of_repeat(told: Told, known: Known, *, missing: bool) -> Reason:
    if told.notification.truncated_alerts:
        return Reason.TRUNCATED
    if missing and told.whole:
        return Reason.FEWER_TOLD
    if known.sender and told.notification.external_url != known.sender:
        return Reason.COPY
    return Reason.REGROUPED if known.group and told.notification.group_key != known.group else Reason.SAME_STATE


def _actions(reason: Reason, notification: Notification, policy: Policy, *, joined: bool) -> tuple[Action, ...]:
    kills = tuple(SwitchOff(agent) for agent in sorted(_agents_to_stop(notification, policy)))
    match reason.verdict:
        case "open":
            return (OpenIncident(), *kills)
        case "change":
            return (Change(), *(kills if joined else ()))
        case "resolve":
            return (Resolve(),)
        case "repeat" | "ask":
            return (Repeat(),)
    return ()


def _agents_to_stop(notification: Notification, policy: Policy) -> set[str]:
    return {
        alert.agent
        for alert in notification.firing
        if alert.agent and alert.name in policy.kill_on.get(alert.agent, ())
    }

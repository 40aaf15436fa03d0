"""What follows when incidents are held against what Alertmanager knows; decided without touching anything.

Alertmanager never tells of an alert that began and ended while the receiver was away, nor of one that ended while it
was silenced or inhibited; and one that restarts knows nothing until Prometheus has told it again, within a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from alerting.receiver.decide import WATCHDOG
from alerting.receiver.firing import Muting, Seen, View

# In so many looks one after the other, and for so long, an alert must not be known before it is over.
LOOKS = 3
GONE_AFTER_S = 150.0
# How much longer than group_wait a notification may take before it counts as never sent.
GRACE_S = 60.0


class Finding(Enum):
    """What was found of an incident, and what people are told of it."""

    ENDED = "ended without a notification: Alertmanager no longer knows any alert of this incident"
    ALERT_ENDED = "an alert ended without a notification; others of the incident still fire"
    MISSED = "fires, and the receiver was never told"
    CAME_BACK = "fires indeed: what looked like a late copy was none"
    LATE_COPY = "does not fire: it was a late copy"
    SILENCED = "silenced: the ticket stays open until its alerts are really over"
    INHIBITED = "inhibited by another alert: the ticket stays open until its alerts are really over"
    MUTED = "muted at this time: the ticket stays open until its alerts are really over"

    @property
    def label(self) -> str:
        """As metrics name it."""
        return self.name.lower()


_OF_MUTING: Mapping[Muting, Finding] = {
    "silenced": Finding.SILENCED,
    "inhibited": Finding.INHIBITED,
    "muted": Finding.MUTED,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """An incident as it is remembered. `id` is None when it is closed; `held` are alerts and since when.

    `told_muted` are the kinds of muting that its ticket was told of.
    """

    key: str
    id: int | None = None
    firing: frozenset[str] = frozenset()
    held: Mapping[str, float] = field(default_factory=dict)
    told_muted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: for these fingerprints of the incident, or with what was seen of them."""

    finding: Finding
    standing: Standing
    fingerprints: frozenset[str] = frozenset()
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """For how many looks, and since when, something that should be known was not, or the other way round."""

    looks: int
    since: float


Memory = Mapping[tuple[str, str], Missing]


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds: before Alertmanager first tells, before a late copy is asked about, and between looks."""

    group_wait_s: float
    late_s: float
    every_s: float = 60.0


def reconcile(
    standings: Mapping[str, Standing],
    view: View,
    by_key: Mapping[str, tuple[Seen, ...]],
    before: Memory,
    waits: Waits,
    now: float,
) -> tuple[list[Step], Memory]:
    """The steps, and what to remember until the next look. `by_key` is what concerns the receiver, by incident."""
    steps: list[Step] = []
    memory: dict[tuple[str, str], Missing] = {}

    def lasts(kind: str, name: str) -> bool:
        old = before.get((kind, name), Missing(0, now))
        memory[kind, name] = Missing(old.looks + 1, old.since)
        return memory[kind, name].looks >= LOOKS and now - old.since >= GONE_AFTER_S

    for key in sorted(set(standings) | set(by_key)):
        standing, seen = standings.get(key, Standing(key)), by_key.get(key, ())
        steps.extend(_of_held(standing, seen, view, waits, now))
        if standing.id is not None:
            known = (standing.firing & view.fingerprints) | {each.fingerprint for each in seen}
            lost = frozenset(name for name in standing.firing - known if lasts("alert", f"{key}/{name}"))
            if known:
                steps.extend([Step(Finding.ALERT_ENDED, standing, lost)] if lost else [])
                steps.extend(_of_muted(standing, seen))
            elif lost == standing.firing if standing.firing else lasts("incident", key):
                steps.append(Step(Finding.ENDED, standing, lost))
        elif missed := _missed(standing, seen):
            old = before.get(("missed", key), Missing(0, now))
            memory["missed", key] = Missing(old.looks + 1, old.since)
            if now - old.since >= waits.group_wait_s + GRACE_S:
                steps.append(Step(Finding.MISSED, standing, seen=missed))
    return steps, memory


def _of_held(standing: Standing, seen: tuple[Seen, ...], view: View, waits: Waits, now: float) -> list[Step]:
    """A late copy is asked about when no Alertmanager can have another under way."""
    due = {name for name, since in standing.held.items() if now - since >= waits.late_s}
    active = tuple(each for each in seen if each.fingerprint in due and each.muting is None)
    gone = frozenset(due - view.fingerprints)
    return [
        *([Step(Finding.CAME_BACK, standing, seen=active)] if active else []),
        *([Step(Finding.LATE_COPY, standing, gone)] if gone else []),
    ]


def _of_muted(standing: Standing, seen: tuple[Seen, ...]) -> list[Step]:
    """Nothing of the incident is told while all of it is muted: said once on the ticket for each kind."""
    kinds = {each.muting for each in seen}
    if not seen or None in kinds:
        return []
    new = sorted({kind for kind in kinds if kind is not None} - standing.told_muted)
    return [Step(_OF_MUTING[new[0]], standing)] if new else []


def _missed(standing: Standing, seen: tuple[Seen, ...]) -> tuple[Seen, ...]:
    """What fires and should be told. Held alerts are asked about on their own."""
    return tuple(
        each
        for each in seen
        if each.muting is None
        and each.fingerprint not in standing.held
        and each.notification.alertname != WATCHDOG
        and each.notification.alerts[0].labels.get("severity") != "info"
    )

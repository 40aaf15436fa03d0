"""Asks Alertmanager at the start and every minute what fires, and brings incidents and tickets in line with it.

Each step is one transaction that looks again first: what a notification changed meanwhile is left alone. Several
receivers may look at the same time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection, Engine, exists, select, update
from sqlalchemy.exc import SQLAlchemyError

from alerting.receiver import audit
from alerting.receiver.effects import Effects
from alerting.receiver.firing import Alertmanagers, Seen, Unavailable
from alerting.receiver.payload import Told
from alerting.receiver.reconcile import Finding, Memory, Standing, Step, Waits, reconcile
from alerting.receiver.schema import alerts, inbox
from alerting.receiver.schema import incidents as table
from handrail.clock import Clock
from handrail.database import reading, take_turns
from handrail.logs import Logger, LogOnce

HANDOFF = "Handoff"


class Reconciler:
    """`looked` is told how each look went (ok, busy, unavailable, garbage), `found` of everything that was done."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        alertmanagers: Alertmanagers,
        effects: Effects,
        waits: Waits,
        *,
        looked: Callable[[str], None],
        found: Callable[[Finding], None],
        logger: Logger,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._alertmanagers = alertmanagers
        self._effects = effects
        self._waits = waits
        self._looked = looked
        self._found = found
        self._logger = logger
        self._log_once = LogOnce(logger)
        self._memory: Memory = {}

    def run(self, stop: threading.Event) -> None:
        """Look at once and then as often as was asked for until `stop` is set; a defect is logged, and it goes on."""
        while not stop.is_set():
            try:
                self.look()
            except SQLAlchemyError as error:
                self._log_once.failed("reconciler", type(error).__name__)
            except Exception:
                self._logger.exception("worker_failed", lane="reconciler")
            stop.wait(self._waits.every_s)

    def look(self) -> None:
        """One look, and what follows from it. Where Alertmanager cannot be asked, nothing does."""
        try:
            view = self._alertmanagers.look()
        except Unavailable as error:
            self._looked("garbage" if error.garbage else "unavailable")
            self._log_once.failed("alertmanager", str(error))
            return
        self._log_once.succeeded("alertmanager")
        by_key: dict[str, tuple[Seen, ...]] = {}
        for seen in view.told:
            notification = seen.notification
            key = self._effects.identity.key(notification.alerts[0].labels, notification.group_labels)
            by_key[key] = (*by_key.get(key, ()), seen)
        with reading(self._engine).connect() as connection:
            # Whatever waits to be decided may be just what seems to be missing.
            if connection.scalar(select(exists().where(inbox.c.processed_at.is_(None)))):
                self._looked("busy")
                return
            standings = _standings(connection)
        now = self._clock.now().timestamp()
        steps, self._memory = reconcile(standings, view, by_key, self._memory, self._waits, now)
        for step in steps:
            with self._engine.begin() as connection:
                done = self._do(connection, step, now)
            if done:
                self._found(step.finding)
        self._log_once.succeeded("reconciler")
        self._looked("ok")

    def _do(self, connection: Connection, step: Step, now: float) -> bool:
        """Do it, unless the incident is not as it was when it was looked at."""
        key, finding = step.standing.key, step.finding
        take_turns(connection, f"incident/{key}")
        if _standings(connection, key).get(key, Standing(key)) != step.standing:
            return False
        if step.seen:
            self._told(connection, step, now)
        elif finding is Finding.LATE_COPY:
            _update(connection, step, held_at=None)
        elif finding in (Finding.ENDED, Finding.ALERT_ENDED):
            _update(connection, step, firing=False, ends_at=now, ended_seen_at=now)
            if finding is Finding.ENDED and step.standing.id is not None:
                self._effects.end(connection, step.standing.id, f"{_sentence(finding)}.", now=now)
        elif step.standing.id is not None:
            muted = ",".join(sorted(step.standing.told_muted | {finding.label}))
            connection.execute(update(table).where(table.c.id == step.standing.id).values(muted=muted))
            self._effects.say(connection, step.standing.id, f"{_sentence(finding)}.", now=now)
        subject = f"incident/{step.standing.id}" if step.standing.id is not None else f"incident-key/{key}"
        audit.append(connection, now, actor="reconciler", action=finding.label, subject=subject, reason=finding.value)
        return True

    def _told(self, connection: Connection, step: Step, now: float) -> None:
        """As if Alertmanager had told it."""
        first = step.seen[0].notification
        listed = tuple(seen.notification.alerts[0] for seen in step.seen)
        notification = first.model_copy(update={"alerts": listed})
        told = Told(step.standing.key, notification, whole=False, confirmed=True)
        self._effects.apply(connection, told, now, actor="reconciler")


def _update(connection: Connection, step: Step, **values: object) -> None:
    named = (alerts.c.key == step.standing.key) & alerts.c.fingerprint.in_(step.fingerprints)
    connection.execute(update(alerts).where(named).values(**values))


def _sentence(finding: Finding) -> str:
    return finding.value[0].upper() + finding.value[1:]


def _standings(connection: Connection, key: str | None = None) -> dict[str, Standing]:
    """Every open incident that Alertmanager tells of, and every one of which an alert is held."""
    opened = select(table).where(table.c.state == "firing", table.c.alertname != HANDOFF)
    known = select(alerts).where(alerts.c.firing | alerts.c.held_at.is_not(None))
    if key is not None:
        opened, known = opened.where(table.c.key == key), known.where(alerts.c.key == key)
    found: dict[str, Standing] = {}
    for row in connection.execute(opened):
        muted = frozenset(filter(None, (row.muted or "").split(",")))
        found[row.key] = Standing(row.key, row.id, told_muted=muted)
    for row in connection.execute(known):
        standing = found.get(row.key, Standing(row.key))
        if row.firing and standing.id is not None:
            found[row.key] = replace(standing, firing=standing.firing | {row.fingerprint})
        elif row.held_at is not None:
            found[row.key] = replace(standing, held={**standing.held, row.fingerprint: row.held_at})
    return found

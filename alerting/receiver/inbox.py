"""A notification answered 200 is on disk; it is decided and turned into work in one transaction, exactly once.

What is kept of it, and of what could not be understood, has been redacted.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import DataError, SQLAlchemyError

from alerting.receiver import audit, decide, incidents, kills, tickets
from alerting.receiver.payload import Notification, incident_key, parse
from alerting.receiver.reports import Reporter
from alerting.receiver.schema import inbox, outbox, quarantine
from alerting.receiver.text import paragraph
from handrail.clock import Clock
from handrail.database import take_turns
from handrail.logs import Logger, LogOnce
from handrail.redact import Redactor

QUARANTINED_CHARACTERS = 65_536
# So many notifications may wait: at 1 MiB each, the most one may have, they take 2 GiB of the disk.
MOST_WAITING = 2_000
# So many items may wait for Jira. An incident has a handful of them, so that this is an outage of days.
MOST_UNDELIVERED = 20_000


class Full(Exception):
    """There is too much to be done already: whoever sends must keep it and try again later."""


class Inbox:
    """Where notifications and what could not be understood are kept."""

    def __init__(self, engine: Engine, clock: Clock, redactor: Redactor) -> None:
        self._engine = engine
        self._clock = clock
        self._redact = redactor
        self.arrived = threading.Event()

    def accept(self, body: bytes) -> None:
        """Commit the notification. After Full or an SQLAlchemyError it is not stored and must not be acknowledged."""
        # Equal labels stay equal, so that an incident stays the same one.
        kept = json.dumps(self._redact.within(json.loads(body)), ensure_ascii=False)
        values = {"received_at": self._clock.now().timestamp(), "body": kept}
        with self._engine.begin() as connection:
            _check_room(connection)
            connection.execute(insert(inbox).values(**values))
        self.arrived.set()

    def quarantine(self, body: bytes, reason: str) -> None:
        """Keep what could not be understood, cut to a bounded size."""
        with self._engine.begin() as connection:
            _quarantine(connection, self._readable(body), self._redact(reason), self._clock.now().timestamp())

    def _readable(self, body: bytes) -> str:
        """What can be kept of anything. JSON is redacted text by text: its escapes would hide where one begins."""
        try:
            return json.dumps(self._redact.within(json.loads(body)), ensure_ascii=False)
        except (ValueError, RecursionError):
            return self._redact(body.decode("utf-8", "replace").replace("\\n", "\n").replace('\\"', '"'))


def _check_room(connection: Connection) -> None:
    undecided = select(inbox.c.id).where(inbox.c.processed_at.is_(None)).limit(MOST_WAITING)
    undelivered = select(outbox.c.id).where(outbox.c.state.in_(("ready", "leased"))).limit(MOST_UNDELIVERED)
    for waiting, most in ((undecided, MOST_WAITING), (undelivered, MOST_UNDELIVERED)):
        if (connection.scalar(select(func.count()).select_from(waiting.subquery())) or 0) >= most:
            raise Full(f"{most} wait already")


def _quarantine(connection: Connection, body: str, reason: str, now: float) -> None:
    kept = {"reason": reason, "body": body[:QUARANTINED_CHARACTERS]}
    connection.execute(insert(quarantine).values(received_at=now, **kept))


@dataclass
class Heartbeats:
    """When the watchdog was last heard of, in epoch seconds; None before the first time."""

    last: float | None = field(default=None)


class Intake:
    """Decides what is in the inbox, in the order in which it came."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        scope: str,
        policy: decide.Policy,
        reporter: Reporter,
        with_tickets: bool,
        logger: Logger,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._scope = scope
        self._policy = policy
        self._reporter = reporter
        self._with_tickets = with_tickets
        self._logger = logger
        self._log_once = LogOnce(logger)
        self.heartbeats = Heartbeats()

    def run(self, stop: threading.Event, arrived: threading.Event) -> None:
        """Decide until `stop` is set; a database that fails is tried again."""
        while not stop.is_set():
            try:
                while self.process_one():
                    pass
                self._log_once.succeeded("inbox")
            except SQLAlchemyError as error:
                self._log_once.failed("inbox", type(error).__name__)
            arrived.wait(0.5)
            arrived.clear()

    def process_one(self) -> bool:
        """Decide the oldest undecided notification; False when there is none."""
        with self._engine.begin() as connection:
            # One replica decides at a time: what came first is decided first, and nothing is decided twice.
            take_turns(connection, "inbox")
            query = select(inbox).where(inbox.c.processed_at.is_(None)).order_by(inbox.c.id).limit(1)
            row = connection.execute(query).first()
            if row is None:
                return False
            now = self._clock.now().timestamp()
            try:
                with connection.begin_nested():
                    notification = parse(row.body.encode())
                    reason = self._apply(connection, notification, now)
                    if notification.alertname == decide.WATCHDOG and notification.firing:
                        # When it came: one that waited here for a restart says nothing about now.
                        self.heartbeats.last = row.received_at
            except Exception as error:
                # A text that the database refuses, as PostgreSQL does NUL, would be refused for ever.
                if isinstance(error, SQLAlchemyError) and not isinstance(error, DataError):
                    raise
                self._logger.exception("notification_not_decided", inbox=row.id)
                reason = f"not decided: {type(error).__name__}"
                _quarantine(connection, row.body, reason, now)
            connection.execute(update(inbox).where(inbox.c.id == row.id).values(processed_at=now, decision=reason))
        return True

    def _apply(self, connection: Connection, notification: Notification, now: float) -> str:
        key = incident_key(self._scope, notification.alertname, notification.group_labels)
        newest = incidents.newest(connection, key)
        known = decide.Known(newest.state, newest.digest) if newest else None
        decision = decide.decide(notification, known, self._policy)
        incident_id = newest.id if newest else None
        for action in decision.actions:
            incident_id = self._act(connection, action, notification, key, incident_id, now)
        if any(not isinstance(action, decide.Heartbeat | decide.Repeat) for action in decision.actions):
            audit.append(
                connection,
                now,
                actor="alertmanager",
                action=", ".join(type(action).__name__ for action in decision.actions),
                subject=f"incident/{incident_id}",
                alertname=notification.alertname,
                agent=notification.agent,
                reason=decision.reason,
            )
        return decision.reason

    def _act(
        self,
        connection: Connection,
        action: decide.Action,
        notification: Notification,
        key: str,
        incident_id: int | None,
        now: float,
    ) -> int | None:
        digest = notification.state_digest
        match action:
            case decide.OpenIncident():
                return incidents.begin(
                    connection,
                    key=key,
                    alertname=notification.alertname,
                    agent=notification.agent,
                    digest=digest,
                    report=self._reporter.incident(notification),
                    now=now,
                    with_ticket=self._with_tickets,
                )
            case decide.SwitchOff(agent):
                reason = f"{notification.alertname} fires, and the agent opted in"
                kills.request(
                    connection, agent, "disable", reason=reason, by="handrail", incident_id=incident_id, now=now
                )
            case decide.Change() | decide.Repeat() if incident_id is not None:
                incidents.seen(connection, incident_id, digest=digest, now=now)
                if isinstance(action, decide.Change) and self._with_tickets:
                    tickets.put_change(connection, incident_id, self._reporter.change(notification), now=now)
            case decide.Resolve() if incident_id is not None:
                incidents.end(connection, incident_id, digest=digest, now=now)
                if self._with_tickets:
                    said = (paragraph("Resolved: no alert of this incident fires any more."),)
                    tickets.put_close(connection, incident_id, said, now=now)
        return incident_id

"""A notification answered 200 is on disk; it is decided and turned into work in one transaction, exactly once.

What is kept of it, and of what could not be understood, has been redacted.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import DataError, SQLAlchemyError

from alerting.receiver.decide import Reason
from alerting.receiver.effects import Effects
from alerting.receiver.payload import parse, split
from alerting.receiver.schema import inbox, outbox, quarantine
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
    """Decides what is in the inbox, in the order in which it came. `count` is told of each decision."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        effects: Effects,
        heartbeats: Heartbeats,
        *,
        count: Callable[[Reason], None],
        logger: Logger,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._effects = effects
        self.heartbeats = heartbeats
        self._count = count
        self._logger = logger
        self._log_once = LogOnce(logger)

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
            reasons: list[Reason] = []
            try:
                with connection.begin_nested():
                    reasons = self._decide(connection, row.body, row.received_at)
                    said = "; ".join(reason.text for reason in reasons)
            except Exception as error:
                # A text that the database refuses, as PostgreSQL does NUL, would be refused for ever.
                if isinstance(error, SQLAlchemyError) and not isinstance(error, DataError):
                    raise
                self._logger.exception("notification_not_decided", inbox=row.id)
                said = f"not decided: {type(error).__name__}"
                _quarantine(connection, row.body, said, now)
            connection.execute(update(inbox).where(inbox.c.id == row.id).values(processed_at=now, decision=said))
        for reason in reasons:
            self._count(reason)
        return True

    def _decide(self, connection: Connection, body: str, received_at: float) -> list[Reason]:
        """Why what was done for each incident. It counts when it came, not how long it waited here."""
        reasons = []
        for told in split(parse(body.encode()), self._effects.identity):
            reason = self._effects.apply(connection, told, received_at, actor="alertmanager").reason
            if reason is Reason.WATCHDOG_HEARD:
                self.heartbeats.last = received_at
            reasons.append(reason)
        return reasons

"""A notification answered 200 is on disk; it is decided and turned into work in one transaction, exactly once.

What is kept of it, and of what could not be understood, has been redacted.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, ScalarSelect, Select, bindparam, func, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from alerting.receiver.by_size import by_size
from alerting.receiver.decide import Reason
from alerting.receiver.effects import Effects
from alerting.receiver.group_commit import GroupCommit
from alerting.receiver.outbox import LANES
from alerting.receiver.payload import parse, split
from alerting.receiver.schema import inbox, outbox, quarantine
from alerting.receiver.under_way import UnderWay
from handrail.clock import Clock
from handrail.database import take_turns
from handrail.logs import Logger, LogOnce
from handrail.redact import Redactor

QUARANTINED_CHARACTERS = 65_536
# So many notifications may wait: at 1 MiB each, the most one may have, they take 2 GiB of the disk.
MOST_WAITING = 2_000
# So many items may wait for Jira. An incident has a handful of them, so that this is an outage of days.
MOST_UNDELIVERED = 20_000
# A sender waits for its answer, a decision has time: what arrives may put all that are due off for so long in total.
GIVE_WAY_S = 2.0

Row = dict[str, Any]
_UNDECIDED_FIRST = select(inbox).where(inbox.c.processed_at.is_(None)).order_by(inbox.c.id).limit(1)


class Full(Exception):
    """There is too much to be done already: whoever sends must keep it and try again later."""


class Inbox:
    """Where notifications and what could not be understood are kept."""

    def __init__(self, engine: Engine, clock: Clock, redactor: Redactor) -> None:
        self._engine = engine
        self._clock = clock
        self._redact = redactor
        self._commit = GroupCommit(self._write)
        self._room = MOST_WAITING
        self._taking = UnderWay()
        self.arrived = threading.Event()

    async def accept(self, body: bytes) -> None:
        """Commit the notification. After an exception it is not stored and must not be acknowledged.

        Full, NotWritten and an SQLAlchemyError mean that it may be sent again.
        """
        with self._taking:
            kept = await by_size(self._kept, body)
            await self._commit({"received_at": self._clock.now().timestamp(), "body": kept})

    def _kept(self, body: bytes) -> str:
        # Equal labels stay equal, so that an incident stays the same one.
        return json.dumps(self._redact.within(json.loads(body)), ensure_ascii=False)

    def give_way(self, at_most_s: float) -> float:
        """Let those that are being taken go first, unless the inbox fills up; how many seconds that took."""
        if at_most_s <= 0 or self._room <= MOST_WAITING // 2:
            return 0.0
        began = self._clock.monotonic()
        self._taking.wait_over(at_most_s)
        return self._clock.monotonic() - began

    def _write(self, rows: Sequence[Row]) -> list[BaseException | None]:
        """Store as many as there is room for; one by one when a value is refused, so that only its own is not stored.

        A database that does not answer is the same for all of them.
        """
        try:
            with self._engine.begin() as connection:
                self._room = room = _room(connection)
                if taken := rows[:room]:
                    connection.execute(insert(inbox), taken)
        except (DataError, IntegrityError, ValueError) as error:
            return [error] if len(rows) == 1 else [outcome for row in rows for outcome in self._write([row])]
        except SQLAlchemyError as error:
            return [error] * len(rows)
        self.arrived.set()
        return [*[None] * len(taken), *(Full("too many wait already") for _ in rows[room:])]

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


def _limited(query: Select[tuple[int]], most: str) -> ScalarSelect[int]:
    return select(func.count()).select_from(query.limit(bindparam(most)).subquery()).scalar_subquery()


# With the lanes the index finds them; without, it would be read from end to end, a week of done work included.
_TO_DELIVER = outbox.c.lane.in_(LANES) & outbox.c.state.in_(("ready", "leased"))
# Made once: to make it takes longer than to ask it.
_WAITING = select(
    _limited(select(inbox.c.id).where(inbox.c.processed_at.is_(None)), "most_waiting"),
    _limited(select(outbox.c.id).where(_TO_DELIVER), "most_undelivered"),
)


def _room(connection: Connection) -> int:
    """How many more notifications may be taken."""
    most = {"most_waiting": MOST_WAITING, "most_undelivered": MOST_UNDELIVERED}
    undecided, undelivered = connection.execute(_WAITING, most).one()
    return 0 if undelivered >= MOST_UNDELIVERED else MOST_WAITING - undecided


def _quarantine(connection: Connection, body: str, reason: str, now: float) -> None:
    kept = {"reason": reason, "body": body[:QUARANTINED_CHARACTERS]}
    connection.execute(insert(quarantine).values(received_at=now, **kept))


@dataclass
class Heartbeats:
    """When the watchdog was last heard of, in epoch seconds; None before the first time."""

    last: float | None = field(default=None)


class Intake:
    """Decides what is in the inbox, in the order in which it came. `count` is told of each decision.

    Before each decision `give_way` may wait so many seconds for what is more urgent, and says how many it did.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        effects: Effects,
        heartbeats: Heartbeats,
        *,
        count: Callable[[Reason], None],
        give_way: Callable[[float], float],
        logger: Logger,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._effects = effects
        self.heartbeats = heartbeats
        self._count = count
        self._give_way = give_way
        self._logger = logger
        self._log_once = LogOnce(logger)

    def run(self, stop: threading.Event, arrived: threading.Event) -> None:
        """Decide until `stop` is set; a database that fails is tried again."""
        while not stop.is_set():
            try:
                left_s = GIVE_WAY_S - self._give_way(GIVE_WAY_S)
                while self.process_one():
                    left_s -= self._give_way(left_s)
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
            row = connection.execute(_UNDECIDED_FIRST).first()
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

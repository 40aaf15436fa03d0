"""What is done is forgotten after a while, in small bites; what is not done, or was given up, is never deleted."""

from __future__ import annotations

import threading

from sqlalchemy import Column, ColumnElement, Connection, Engine, Table, and_, delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from alerting.receiver.schema import alerts, inbox, outbox, quarantine
from handrail.clock import Clock
from handrail.logs import Logger, LogOnce

# Long enough to see on Monday what happened on Friday. What was decided and done stays in the audit log for ever.
KEEP_DONE_S = 7 * 24 * 3600.0
# What nobody could read is looked at by hand, and by then somebody has, or nobody will.
KEEP_QUARANTINE_S = 30 * 24 * 3600.0
EVERY_S = 600.0
# A bite holds the database for milliseconds, so that no notification has to wait for it.
BITE = 500


class Retention:
    """Deletes what is old enough."""

    def __init__(self, engine: Engine, clock: Clock, logger: Logger) -> None:
        self._engine = engine
        self._clock = clock
        self._log_once = LogOnce(logger)

    def run(self, stop: threading.Event) -> None:
        """Delete at the start and now and then until `stop` is set; a database that fails is tried again."""
        while True:
            try:
                while not stop.is_set() and self.tidy():
                    pass
                self._log_once.succeeded("retention")
            except SQLAlchemyError as error:
                self._log_once.failed("retention", type(error).__name__)
            if stop.wait(EVERY_S):
                return

    def tidy(self) -> int:
        """Delete one bite of each; the number of rows, 0 when nothing is left to delete."""
        now = self._clock.now().timestamp()
        with self._engine.begin() as connection:
            return (
                _bite(connection, inbox, inbox.c.id, inbox.c.processed_at < now - KEEP_DONE_S)
                + _bite(connection, outbox, outbox.c.id, _done(now - KEEP_DONE_S))
                + connection.execute(delete(alerts).where(_over(now - KEEP_DONE_S))).rowcount
                + _bite(connection, quarantine, quarantine.c.id, quarantine.c.received_at < now - KEEP_QUARANTINE_S)
            )


def _done(before: float) -> ColumnElement[bool]:
    return and_(outbox.c.state.in_(("done", "dropped")), outbox.c.run_at < before)


def _over(before: float) -> ColumnElement[bool]:
    """Alerts that ended so long ago that no copy of them can come any more."""
    return and_(~alerts.c.firing, alerts.c.held_at.is_(None), alerts.c.ended_seen_at < before)


def _bite(connection: Connection, table: Table, key: Column[int], old: ColumnElement[bool]) -> int:
    # The newest row stays: SQLite gives its number out again, and numbers are in the markers of comments.
    newest = select(func.max(key)).scalar_subquery()
    ids = connection.scalars(select(key).where(old, key < newest).order_by(key).limit(BITE)).all()
    if not ids:
        return 0
    return connection.execute(delete(table).where(key.in_(ids))).rowcount

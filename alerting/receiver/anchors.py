"""The end of the audit log is said outside of the database, so that rows cannot be taken from it unseen."""

from __future__ import annotations

import threading

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from alerting.receiver import audit
from alerting.receiver.audit_chain import Anchor
from handrail.logs import Logger

EVERY_S = 3600.0


class Anchors:
    """Writes the last row's number and hash to the log."""

    def __init__(self, engine: Engine, logger: Logger) -> None:
        self._engine = engine
        self._logger = logger
        self._said: Anchor | None = None

    def run(self, stop: threading.Event) -> None:
        """Say it at once and then every hour, until `stop` is set."""
        self.say()
        while not stop.wait(EVERY_S):
            self.say()

    def say(self) -> None:
        """Say it, unless nothing was added since; a database that cannot be read is somebody else's message."""
        try:
            head = audit.head(self._engine)
        except SQLAlchemyError:
            return
        if head is not None and head != self._said:
            self._logger.info("audit_anchor", anchor=str(head))
            self._said = head

"""Takes one item after the other from a lane of the outbox until it is done, put off, or given up and counted."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from alerting.receiver.outbox import Item, LeaseLost, Outbox
from handrail.clock import Clock
from handrail.logs import Logger, LogOnce

IDLE_S = 0.5
GIVE_UP_AFTER_S = 24 * 3600.0


class Transient(Exception):
    """It did not work this time. `payload` replaces the item's, to remember what was learnt.

    `whole_lane`: no other item of the lane would fare better before then.
    """

    def __init__(
        self,
        text: str,
        *,
        retry_after_s: float | None = None,
        payload: dict[str, Any] | None = None,
        whole_lane: bool = False,
    ) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s
        self.payload = payload
        self.whole_lane = whole_lane


class Later(Exception):
    """It goes as planned, and the next step is due in `after_s` seconds with another payload."""

    def __init__(self, after_s: float, payload: dict[str, Any]) -> None:
        super().__init__(f"next step in {after_s} s")
        self.after_s = after_s
        self.payload = payload


class Permanent(Exception):
    """It will never work as it is; the text says why."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds to wait before the n-th retry: doubling from `first_s` to `most_s`, spread by up to a half."""

    first_s: float
    most_s: float

    def seconds(self, attempts: int, *, spread: float) -> float:
        """The wait after `attempts` attempts; `spread` between 0 and 1 shortens it by up to a half."""
        return float(min(self.most_s, self.first_s * 2 ** min(attempts - 1, 20)) * (1 - spread / 2))


@dataclass(frozen=True, slots=True)
class Lane:
    """What is done in a lane. `on_dead` is called in the transaction that gives an item up, with the reason.

    `on_lost` is told an item that another worker had taken over while this one may have gone on with it.
    """

    name: str
    handlers: Mapping[str, Callable[[Item], None]]
    backoff: Backoff
    on_dead: Callable[[Connection, Item, str], None] = lambda connection, item, error: None
    on_lost: Callable[[Item], None] = lambda item: None


class Worker:
    """Serves one lane. Handlers finish the item themselves, in the transaction that records its effect.

    `on_lost` is told the lane when another worker had taken an item over.
    """

    def __init__(
        self, outbox: Outbox, lane: Lane, *, clock: Clock, logger: Logger, on_lost: Callable[[str], None]
    ) -> None:
        self._outbox = outbox
        self._lane = lane.name
        self._handlers = lane.handlers
        self._backoff = lane.backoff
        self._on_dead = lane.on_dead
        self._on_lost = on_lost
        self._on_lost_item = lane.on_lost
        self._clock = clock
        self._logger = logger
        self._log_once = LogOnce(logger)
        self._paused_until = 0.0

    def run_once(self) -> bool:
        """Do what is due first; False when nothing is due."""
        if self._clock.monotonic() < self._paused_until:
            return False
        item = self._outbox.claim(self._lane)
        if item is None:
            return False
        try:
            self._attempt(item)
        except LeaseLost as error:
            self._logger.warning("lease_lost", lane=self._lane, kind=item.kind, subject=item.subject, error=str(error))
            self._on_lost(self._lane)
            self._on_lost_item(item)
        return True

    def _attempt(self, item: Item) -> None:
        try:
            self._handlers[item.kind](item)
        except Later as later:
            self._outbox.put_off(item, after_s=later.after_s, error="", payload=later.payload)
        except Transient as error:
            self._put_off(item, str(error), error)
        except Permanent as error:
            self._give_up(item, str(error))
        else:
            self._log_once.succeeded(f"{self._lane}/{item.kind}")

    def run(self, stop: threading.Event) -> None:
        """Serve the lane until `stop` is set. An error no handler foresaw is logged, counted and tried again."""
        while not stop.is_set():
            try:
                if self.run_once():
                    continue
            except Exception:
                self._logger.exception("worker_failed", lane=self._lane)
            stop.wait(IDLE_S)

    def _put_off(self, item: Item, error: str, transient: Transient) -> None:
        if self._clock.now().timestamp() - item.created_at > GIVE_UP_AFTER_S:
            self._give_up(item, f"given up after a day: {error}")
            return
        wait = self._backoff.seconds(item.attempts, spread=random.random())  # noqa: S311 - spreads load, guards nothing
        self._log_once.failed(f"{self._lane}/{item.kind}", error)
        after_s = max(wait, transient.retry_after_s or 0.0)
        if transient.whole_lane:
            self._paused_until = self._clock.monotonic() + (transient.retry_after_s or 0.0)
        self._outbox.put_off(item, after_s=after_s, error=error, payload=transient.payload)

    def _give_up(self, item: Item, error: str) -> None:
        self._logger.error("dead_letter", lane=self._lane, kind=item.kind, subject=item.subject, error=error)
        self._outbox.bury(item, error=error, also=lambda connection: self._on_dead(connection, item, error))

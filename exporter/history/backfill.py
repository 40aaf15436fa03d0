"""One backfill from beginning to end: read what ended before counting began, then write it as one OpenMetrics file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from exporter.history.counted import Counted, counted, remove_counted
from exporter.history.joint import Joint, Live, joint
from exporter.history.openmetrics import OpenMetricsFile
from exporter.history.past import Reached, read_patiently
from exporter.history.sources import pasts
from exporter.history.spool import Spool
from exporter.history.write import STEP_S, Period, Written, write_history
from exporter.label_sets import LabelSets
from handrail.clock import Clock
from handrail.settings import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was written, where each agent's past ends, and how many calls fell between that end and live counting."""

    written: tuple[Written, ...]
    joint: Joint
    left_out: int
    samples: int


class Backfill:
    """Keeps what it reads in `folder` until `forget`, so that it can be interrupted and go on.

    `live` is what Prometheus has, if it could be asked. NoCalls when the ledger is another release's.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        folder: Path,
        since: datetime,
        live: Live | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._folder = folder
        self._since = since
        self._live = live or Live()
        self._transport = transport
        self._counted: Counted = counted(settings)
        self.kept_since: dict[str, datetime] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._spool = Spool(self._folder / "calls.sqlite", identity=_identity(self._settings))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    @property
    def counting(self) -> bool:
        """Whether there is a ledger, which means that counting has begun."""
        return self._counted.exists

    def read(self, *, say: Callable[[str], None]) -> Iterator[Reached]:
        """Read every source; SourceDown when one cannot be read. What was read before is not read again."""
        known = self._live.with_history
        with pasts(
            self._settings, self._clock, states=self._counted.states, without=known, transport=self._transport
        ) as found:
            for past in found:
                yield from read_patiently(past, self._spool, self._since, self._clock, say=say)
                if kept := past.kept_since(self._since):
                    self.kept_since[past.name] = kept

    def write(self, target: Path, *, say: Callable[[Written], None]) -> Outcome:
        """Write what the ledger has not counted.

        The file is there whole, or not at all when nothing was to be written.
        """
        remove_counted(self._spool, self._settings)
        agents = self._spool.agents()
        now = self._clock.now()
        ends = joint(agents, counted=self._counted.began, counting=self.counting, live=self._live, now=now)
        periods = [Period(name, agents[name], self._since, until) for name, until in ends.until.items()]
        left_out = sum(self._between(period, now) for period in periods)
        label_sets = LabelSets(self._counted.labels)
        written: list[Written] = []
        with OpenMetricsFile(target, step_s=STEP_S) as file:
            for each in write_history(self._spool, self._settings, periods, file, label_sets=label_sets):
                written.append(each)
                say(each)
            if written:
                file.finish()
            return Outcome(tuple(written), ends, left_out, file.samples)

    def forget(self) -> None:
        """What was read is not needed any more."""
        self._spool.close()
        for path in self._folder.glob("calls.sqlite*"):
            path.unlink()

    def _between(self, period: Period, now: datetime) -> int:
        span = self._spool.span(period.agent, since=period.until, until=now)
        return span[2] if span else 0


def _identity(settings: Settings) -> str:
    """Changes with everything that decides which calls are made of an answer; holds no secret."""
    seen = repr((settings.sources, settings.agents))
    return hashlib.sha256(seen.encode()).hexdigest()

"""Reads Cloudflare's analytics in closed windows, each counted once: Workers, crons, Workers AI and the cross-check.

Every dataset has its own watermark, which is stored with what was counted. A window ends `hold_back` ago at the
latest, because the analytics of a time are complete only some time after it. One dataset that fails hides no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from exporter.sources import Batch, Count, DownReason, Gauge, SourceDown, State
from exporter.sources.cloudflare_graphql import Analytics, NotOffered
from exporter.sources.datasets import Dataset
from exporter.sources.windows import MINUTE, Plan, Window, newest, next_minute, plan, whole_minute
from handrail.clock import Clock
from handrail.logs import LogOnce, get_logger

# After an outage the past is caught up with in pieces, so that no poll spends the budget of all.
LONGEST_WINDOW = timedelta(hours=1)
PIECES = 4
# Failures that everything else asked now would end with too.
_OUTAGES: frozenset[DownReason] = frozenset({"unreachable", "unauthorized", "rate_limited", "budget"})


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far a dataset was read; `succeeded` is None before the first time it was."""

    reached: datetime
    succeeded: datetime | None = None
    up: bool = False
    memory: State = field(default_factory=dict)

    @classmethod
    def of(cls, state: State | None, now: datetime) -> _Progress:
        """What was stored; the beginning is now, and nothing from before it is counted."""
        if state is None:
            return cls(next_minute(now))
        succeeded = datetime.fromisoformat(state["succeeded"]) if state["succeeded"] else None
        return cls(datetime.fromisoformat(state["reached"]), succeeded, state["up"], state["memory"])

    def state(self) -> State:
        """To be stored."""
        succeeded = self.succeeded.isoformat() if self.succeeded else None
        return {"reached": self.reached.isoformat(), "succeeded": succeeded, "up": self.up, "memory": self.memory}


@dataclass(slots=True)
class _Found:
    """What a dataset's windows held, as far as they could be read."""

    progress: _Progress
    counts: list[Count] = field(default_factory=list)
    gap: int = 0
    down: SourceDown | None = None


class WorkersSource:
    """A Source. The first poll begins at now. `name` is e.g. cloudflare-analytics/main."""

    def __init__(
        self,
        name: str,
        datasets: Sequence[Dataset],
        analytics: Analytics,
        clock: Clock,
        *,
        poll_interval: timedelta,
        hold_back: timedelta,
        skew: Callable[[], timedelta | None] = lambda: None,
    ) -> None:
        self._name = name
        self._datasets = datasets
        self._analytics = analytics
        self._clock = clock
        self._poll_interval = poll_interval
        self._hold_back = hold_back
        self._skew = skew
        self._log_once = LogOnce(get_logger("cloudflare_analytics"))

    @property
    def name(self) -> str:
        """The value of the label `source`."""
        return self._name

    @property
    def poll_interval_s(self) -> float:
        """How often it wants to be polled."""
        return self._poll_interval.total_seconds()

    def poll(self, state: State) -> Batch:
        """Every dataset's next windows; what kept one from being read is the batch's trouble."""
        now = self._now()
        stored: State = state.get("datasets", {})
        progress = {one.name: _Progress.of(stored.get(one.name), now) for one in self._datasets}
        counts = [count for dataset in self._datasets for count in dataset.zeros]
        gap, trouble = 0, None
        for dataset in self._datasets:
            found = self._read(dataset, progress[dataset.name], now)
            progress[dataset.name] = found.progress
            counts += found.counts
            gap += found.gap
            trouble = found.down or trouble
            if found.down and found.down.reason in _OUTAGES:
                break
        return Batch(
            state={"datasets": {name: one.state() for name, one in progress.items()}},
            counts=tuple(counts),
            gauges=tuple(self._gauges(progress, now)),
            gap=gap,
            trouble=trouble,
        )

    def _now(self) -> datetime:
        """Cloudflare's time, as far as an answer has told it: the windows are Cloudflare's."""
        if self._skew() is None:
            with suppress(SourceDown):
                self._analytics.limits(self._datasets[0].node)
        return self._clock.now() + (self._skew() or timedelta(0))

    def _read(self, dataset: Dataset, progress: _Progress, now: datetime) -> _Found:
        found = _Found(progress)
        subject = f"{self._name} {dataset.name}"
        try:
            self._read_windows(dataset, found, now)
        except NotOffered as missing:
            self._log_once.failed(subject, "not_offered", text=missing.text)
            if progress.succeeded is None:
                # What was never to be had is not owed: reading begins when it is offered.
                found.progress = replace(progress, reached=next_minute(now), up=False)
            else:
                found.progress, found.down = replace(found.progress, up=False), missing
        except SourceDown as down:
            self._log_once.failed(subject, down.reason, text=down.text)
            found.progress, found.down = replace(found.progress, up=False), down
        else:
            self._log_once.succeeded(subject)
            found.progress = replace(found.progress, up=True, succeeded=now)
        return found

    def _read_windows(self, dataset: Dataset, found: _Found, now: datetime) -> None:
        planned = self._plan(dataset, found.progress.reached, now)
        if planned.lost:
            labels = {"source": self._name, "dataset": dataset.name}
            found.counts.append(Count("source_dataset_lost_seconds", planned.lost.total_seconds(), labels=labels))
            text = f"{planned.lost} are older than Cloudflare shows and were not counted"
            self._log_once.failed(f"{self._name} {dataset.name} past", "lost", text=text)
            found.progress = replace(found.progress, reached=found.progress.reached + planned.lost)
        else:
            self._log_once.succeeded(f"{self._name} {dataset.name} past")
        if not planned.windows:
            # Nothing is to be counted yet, but whether it can be read at all is known only by asking.
            until = whole_minute(now)
            dataset.read(found.progress.memory, Window(until - MINUTE, until), self._analytics.rows)
        for window in planned.windows:
            reading = dataset.read(found.progress.memory, window, self._analytics.rows)
            found.progress = replace(found.progress, reached=window.until, memory=reading.memory)
            found.counts += reading.counts
            found.gap += reading.gap
            for note in reading.notes:
                self._log_once.failed(f"{self._name} {dataset.name}: {note}", "note")

    def _plan(self, dataset: Dataset, reached: datetime, now: datetime) -> Plan:
        limits = self._analytics.limits(dataset.node)
        allowed = min(LONGEST_WINDOW, limits.max_duration or LONGEST_WINDOW)
        if dataset.newest_only:
            allowed = min(allowed, self._poll_interval)
        longest = max(MINUTE, allowed - allowed % MINUTE)
        until = dataset.ready(whole_minute(now - self._hold_back))
        if dataset.newest_only:
            return newest(reached, until, longest=longest)
        oldest = None if limits.not_older_than is None else now - limits.not_older_than
        return plan(reached, until, oldest=oldest, longest=longest, pieces=PIECES)

    def _gauges(self, progress: dict[str, _Progress], now: datetime) -> Iterable[Gauge]:
        for dataset in self._datasets:
            one = progress[dataset.name]
            labels = {"source": self._name, "dataset": dataset.name}
            succeeded = one.succeeded.timestamp() if one.succeeded else 0.0
            yield Gauge("source_dataset_up", float(one.up), labels)
            yield Gauge("source_dataset_last_success_timestamp_seconds", succeeded, labels)
            yield from dataset.gauges(one.memory, now)

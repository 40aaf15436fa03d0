"""Cron runs of Workers, and the ones that did not come.

A cron is learnt from its first run; from then on a run is expected at each of its times, and one that did not begin
within ten minutes is missed. Nothing tells that a cron was taken away: after three missed runs and a day it is taken
to be gone, until it runs again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from exporter.sources import Count, State
from exporter.sources.cron import expected
from exporter.sources.datasets import OTHER, Ask, Dataset, Names, Reading
from exporter.sources.reading import Json, moment
from exporter.sources.windows import MINUTE, Window, whole_minute
from exporter.sources.worker_invocations import worker_label

NODE = "workersInvocationsScheduled"
MAX_CRONS = 100
GRACE = timedelta(minutes=10)
_GONE_AFTER, _GONE_RUNS = timedelta(days=1), 3
_STATUSES = frozenset({"success", "scriptThrewException", "exceededResources", "internalError", "exceededCpu"})
_STATUSES |= {"exceededMemory", "canceled", "unknown", "scriptNotFound", "loadShed", "clientDisconnected"}


def cron_runs(source: str, workers: Sequence[str]) -> Dataset:
    """Runs by status, and missed runs, of every Worker and cron."""

    def read(memory: State, window: Window, ask: Ask) -> Reading:
        rows = ask(
            NODE,
            window,
            required=("datetime", "cron", "scriptName", "status"),
            optional=("scheduledDatetime",),
        )
        pairs = Names(memory.get("pairs", ()), MAX_CRONS)
        scripts = Names((json.loads(pair)[0] for pair in pairs.seen), MAX_CRONS)
        crons: State = {pair: dict(cron) for pair, cron in memory.get("crons", {}).items()}
        counts: list[Count] = []
        for row in rows:
            worker = worker_label(str(row.get("scriptName") or ""), workers, scripts)
            if worker is None:
                continue
            named = json.dumps([worker, str(row.get("cron") or "")])
            pair = OTHER if worker == OTHER else pairs.label(named)
            status = str(row.get("status") or "")
            labels = _labels(source, pair) | {"status": status if status in _STATUSES else OTHER}
            counts.append(Count("worker_cron_runs", labels=labels))
            if pair != OTHER:
                _remember(crons, pair, _scheduled(row, window))
        notes = [f"more than {MAX_CRONS} crons; the rest is counted as {OTHER}"] if pairs.full else []
        # After time that could not be read nothing is known of the runs before it.
        known = window.since - GRACE if memory.get("until") == window.since.isoformat() else window.since
        for pair in sorted(crons):
            missed, note = _check(pair, crons, known, window.until - GRACE)
            counts.append(Count("worker_cron_missed", missed, labels=_labels(source, pair)))
            notes += [note] if note else []
        following = {"pairs": pairs.seen, "crons": crons, "until": window.until.isoformat()}
        return Reading(following, tuple(counts), notes=tuple(notes))

    return Dataset("worker_crons", NODE, read)


def _labels(source: str, pair: str) -> dict[str, str]:
    worker, cron = (OTHER, OTHER) if pair == OTHER else json.loads(pair)
    return {"source": source, "worker": worker, "cron": cron}


def _scheduled(row: Json, window: Window) -> datetime:
    return whole_minute(moment(row.get("scheduledDatetime")) or moment(row.get("datetime")) or window.since)


def _remember(crons: State, pair: str, scheduled: datetime) -> None:
    first = {"from": (scheduled + MINUTE).isoformat(), "last": scheduled.isoformat(), "ran": []}
    cron = crons.setdefault(pair, first)
    cron["ran"] = [*cron["ran"], scheduled.isoformat()]
    cron["last"] = max(cron["last"], scheduled.isoformat())


def _check(pair: str, crons: State, known: datetime, until: datetime) -> tuple[int, str]:
    """How many runs that were due from `known` to `until` did not come, and what is to be said; forgets the past."""
    cron = crons[pair]
    worker, expression = json.loads(pair)
    since = max(datetime.fromisoformat(cron["from"]), known)
    ran = {datetime.fromisoformat(time) for time in cron["ran"]}
    cron["from"] = max(since, until).isoformat()
    cron["ran"] = sorted(time.isoformat() for time in ran if time >= until)
    times = expected(expression, since, until)
    if times is None:
        return 0, f"the cron {expression} is not understood; its missed runs are not counted"
    missed = sum(time not in ran for time in times)
    last = datetime.fromisoformat(cron["last"])
    if missed and until - last >= _GONE_AFTER and len(expected(expression, last + MINUTE, until) or ()) >= _GONE_RUNS:
        del crons[pair]
        return missed, f"the cron {expression} of {worker} is taken to be gone"
    return missed, ""

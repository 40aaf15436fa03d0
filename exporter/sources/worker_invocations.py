"""What Workers did: invocations by status as counters, CPU and wall time as quantiles of the newest window.

Quantiles cannot be added up: they are asked for by the label they are shown with and by nothing else, least of all by
time. `duration` is left alone: it is GB*s, a price and not a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from exporter.sources import Count, Gauge, State
from exporter.sources.datasets import OTHER, Ask, Dataset, Names, Reading, number, text
from exporter.sources.windows import Window

NODE = "workersInvocationsAdaptive"
MAX_WORKERS = 50
# Cloudflare's documentation names the first five; its exporters and the runtime's source know the others.
STATUSES = ("success", "clientDisconnected", "scriptThrewException", "exceededResources", "internalError")
_MORE_STATUSES = ("exceededCpu", "exceededMemory", "responseStreamDisconnected", "scriptNotFound", "loadShed")
_ALL_STATUSES = frozenset({*STATUSES, *_MORE_STATUSES, "canceled", "unknown"})
# Not a label `quantile`: that is a summary's alone, and Cloudflare gives no summary.
_PERCENTILES = {"50": "P50", "90": "P90", "99": "P99"}
_TIMES = {"worker_cpu_seconds": "cpuTime", "worker_wall_seconds": "wallTime"}
_MICROSECONDS = 1e6


def worker_label(script: str, workers: Sequence[str], names: Names) -> str | None:
    """The label of a script: itself, `other` when too many were discovered, None when it is not one of `workers`."""
    if workers:
        return script if script in workers else None
    return names.label(script or "unknown")


def invocations(source: str, workers: Sequence[str]) -> Dataset:
    """Requests by status, and subrequests."""

    def read(memory: State, window: Window, ask: Ask) -> Reading:
        rows = ask(
            NODE,
            window,
            required=("dimensions.scriptName", "dimensions.status", "sum.requests"),
            optional=("sum.subrequests",),
        )
        names = Names(memory.get("workers", ()), MAX_WORKERS)
        counts: list[Count] = []
        for row in rows:
            worker = worker_label(text(row, "dimensions", "scriptName"), workers, names)
            if worker is None:
                continue
            status = text(row, "dimensions", "status")
            labels = {"source": source, "worker": worker}
            by_status = labels | {"status": status if status in _ALL_STATUSES else OTHER}
            counts.append(Count("worker_requests", number(row, "sum", "requests"), labels=by_status))
            counts.append(Count("worker_subrequests", number(row, "sum", "subrequests"), labels=labels))
        full = f"more than {MAX_WORKERS} Workers; the rest is counted as {OTHER}: name those you want in workers"
        return Reading({"workers": names.seen}, tuple(counts), notes=(full,) if names.full else ())

    zeros = [
        Count("worker_requests", 0, labels={"source": source, "worker": worker, "status": status})
        for worker in workers
        for status in STATUSES
    ]
    zeros += [Count("worker_subrequests", 0, labels={"source": source, "worker": worker}) for worker in workers]
    return Dataset("worker_invocations", NODE, read, zeros=tuple(zeros))


def quantiles(source: str, workers: Sequence[str], *, keep: timedelta) -> Dataset:
    """CPU and wall time of each Worker. A Worker that did nothing for `keep` has none, rather than old ones."""
    fields = tuple(f"quantiles.{time}{suffix}" for time in _TIMES.values() for suffix in _PERCENTILES.values())

    def read(memory: State, window: Window, ask: Ask) -> Reading:
        rows = ask(NODE, window, required=("dimensions.scriptName",), optional=fields, whole=True)
        names = Names(memory.get("workers", ()), MAX_WORKERS)
        newest: State = dict(memory.get("newest", {}))
        for row in rows:
            worker = worker_label(text(row, "dimensions", "scriptName"), workers, names)
            if worker is None or worker == OTHER:
                continue
            values = {field: number(row, *_group(field)) for field in fields if _present(row, field)}
            newest[worker] = {"until": window.until.isoformat(), "values": values}
        fresh = {worker: seen for worker, seen in newest.items() if _is_fresh(seen, window.until)}
        return Reading({"workers": names.seen, "newest": fresh})

    def _is_fresh(seen: State, now: datetime) -> bool:
        return datetime.fromisoformat(seen["until"]) > now - keep

    def gauges(memory: State, now: datetime) -> tuple[Gauge, ...]:
        return tuple(
            Gauge(metric, values[field] / _MICROSECONDS, {"source": source, "worker": worker, "percentile": percentile})
            for worker, seen in memory.get("newest", {}).items()
            if _is_fresh(seen, now) and isinstance(values := seen["values"], dict)
            for metric, time in _TIMES.items()
            for percentile, suffix in _PERCENTILES.items()
            if (field := f"quantiles.{time}{suffix}") in values
        )

    return Dataset("worker_quantiles", NODE, read, gauges, newest_only=True)


def _group(field: str) -> tuple[str, str]:
    group, _, name = field.partition(".")
    return group, name


def _present(row: object, field: str) -> bool:
    group, name = _group(field)
    inner = row.get(group) if isinstance(row, dict) else None
    return isinstance(inner, dict) and isinstance(inner.get(name), int | float)

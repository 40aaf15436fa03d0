"""Brings history into Prometheus: asks it what it has, makes blocks with promtool, and puts them where it reads them.

Blocks are made beside the storage and moved in one by one when all of them are made, so that an interruption leaves
either nothing or what the next run completes.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from handrail.http import HttpClient, NotJson, read_json
from handrail.quantities import format_duration

_MADE = "made"
# Prometheus looks for new blocks once a minute.
READ_WITHIN_S = 150.0
_TIMEOUT_S = 3600
# Larger than the 2 hours of promtool's default, so that it reads the file a few times instead of hundreds.
_BLOCK = "24h"


class HistoryFailed(Exception):
    """History could not be brought in; the text says why."""


class PrometheusData:
    """What a running Prometheus holds of the agents. HistoryFailed when it does not answer."""

    def __init__(self, client: HttpClient, url: str, *, retention: timedelta) -> None:
        self._client = client
        self._url = url
        self._retention = format_duration(retention)

    def memory_begins(self) -> datetime | None:
        """Where what it keeps in memory begins; None while it has nothing."""
        begins = self._get("/api/v1/status/tsdb")["headStats"]["minTime"]
        try:
            return datetime.fromtimestamp(begins / 1000, UTC)
        except (OverflowError, ValueError):
            return None  # an empty memory begins at the largest number there is

    def first_seen(self) -> dict[str, datetime]:
        """When each agent's first sample was taken, to the millisecond."""
        about = f"min by (agent) (min_over_time(timestamp(handrail_agent_info)[{self._retention}:1m]))"
        near = {row["metric"]["agent"]: float(row["value"][1]) for row in self._query(about)}
        exact: dict[str, float] = {}
        for at in set(near.values()):
            for row in self._query("handrail_agent_info[90s]", at=at):
                agent, first = row["metric"]["agent"], min(float(time) for time, _ in row["values"])
                exact[agent] = min(first, exact.get(agent, first))
        return {agent: datetime.fromtimestamp(min(exact.get(agent, at), at), UTC) for agent, at in near.items()}

    def with_history(self) -> frozenset[str]:
        """Agents whose counters were below 0 some time, which only those of the past are."""
        lowest = f"min by (agent) (min_over_time(handrail_ended_calls_total[{self._retention}])) < 0"
        return frozenset(row["metric"]["agent"] for row in self._query(lowest))

    def _query(self, expression: str, *, at: float | None = None) -> list[dict[str, Any]]:
        params = {"query": expression, **({"time": str(at)} if at is not None else {})}
        rows: list[dict[str, Any]] = self._get("/api/v1/query", params)["result"]
        return rows

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        try:
            response = self._client.get(f"{self._url}{path}", params=dict(params or {}))
            answer = read_json(response)
        except (httpx.TransportError, NotJson) as error:
            raise HistoryFailed(f"Prometheus at {self._url} does not answer: {error}") from error
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise HistoryFailed(f"Prometheus at {self._url} answered HTTP {response.status_code} on {path}")
        return answer["data"]


def make_blocks(promtool: Path, file: Path, target: Path) -> int:
    """Blocks of an OpenMetrics file in `target`; how many there are then."""
    target.mkdir(parents=True, exist_ok=True)
    command = [str(promtool), "tsdb", "create-blocks-from", f"--max-block-duration={_BLOCK}", "openmetrics"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with arguments of our own
            [*command, str(file), str(target)], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HistoryFailed(f"promtool did not finish: {error}") from error
    if done.returncode:
        raise HistoryFailed(f"promtool could not make blocks: {done.stderr.strip()[-300:]}")
    return len(_blocks(target))


def load(promtool: Path, file: Path, storage: Path) -> int:
    """Put an OpenMetrics file into this storage, which a Prometheus may be using; how many blocks were moved in."""
    aside = _aside(storage)
    shutil.rmtree(aside, ignore_errors=True)
    make_blocks(promtool, file, aside)
    (aside / _MADE).touch()
    return complete(storage)


def complete(storage: Path) -> int:
    """Move in what an interrupted `load` had made; 0 where there is nothing to complete."""
    aside = _aside(storage)
    if not (aside / _MADE).exists():
        return 0
    storage.mkdir(parents=True, exist_ok=True)
    blocks = _blocks(aside)
    for block in blocks:
        block.rename(storage / block.name)
    shutil.rmtree(aside)
    return len(blocks)


def _aside(storage: Path) -> Path:
    """On the same file system, so that a block appears in the storage whole or not at all."""
    return storage.with_name(f"{storage.name}.history")


def _blocks(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if (path / "meta.json").is_file())

"""What counting costs beside parsing: executions become counted calls, and are merely parsed by the standard library.

Run it with `python -m bench.ingest [executions]`. The executions are recordings of n8n, again and again, or made-up
ones in the same shape where those are absent. Each is read from the bytes of an answer; a page of them makes a batch.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from bench.measure import Row, print_rows, seconds
from exporter.calls import Call
from exporter.ledger import Ledger
from exporter.sources import Batch
from exporter.sources.n8n_execution import Origin, Unreadable, calls_of
from handrail.clock import SystemClock
from handrail.database import create_engine
from handrail.http import parse_json
from handrail.settings import parse

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "contracts" / "n8n"
SOURCE = "n8n/main"
SETTINGS = parse(
    'sources: {n8n: [{name: main, url: "http://n8n.test", api_key_env: KEY}]}\n'
    "agents: [{name: a, from: {n8n: main, workflow: A}, confidence: $.confidence}]\n"
)
ORIGIN = Origin(SOURCE, "a", confidence="$.confidence")
EXECUTIONS = 20_000
GOAL = 2.5
_BATCH = 250  # as many as n8n lists on a page
_ROUND = 1000
# What stands in for recordings where there are none: one agent run with two model calls and a tool.
_NODES = [
    ("AI Agent", "agent", "main", {"output": '{"confidence": 0.9}'}),
    ("Chat Model", "lmChatOpenAi", "ai_languageModel", {"tokenUsage": {"promptTokens": 120, "completionTokens": 15}}),
    ("Chat Model", "lmChatOpenAi", "ai_languageModel", {"tokenUsage": {"promptTokens": 150, "completionTokens": 9}}),
    ("Tool", "toolCode", "ai_tool", {"response": "x" * 2000}),
]


def recorded() -> list[bytes]:
    """Recorded executions as the bytes that n8n sends."""
    texts = []
    for path in sorted(RECORDINGS.glob("exec_*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        body = found.get("body", found) if isinstance(found, dict) else None
        if isinstance(body, dict) and "workflowData" in body:
            texts.append(_sent(body))
    return texts or [_sent(made_up())]


def _sent(body: object) -> bytes:
    """JSON as Node writes it: without spaces, in UTF-8."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def made_up() -> dict[str, Any]:
    """An execution in the shape of a recording."""
    runs: dict[str, list[Any]] = {}
    for position, (name, _, output, answer) in enumerate(_NODES):
        source = [] if output == "main" else [{"previousNode": "AI Agent", "previousNodeRun": 0}]
        run = {"startTime": 1795418966691 + position, "executionTime": 5, "executionStatus": "success"}
        runs.setdefault(name, []).append(run | {"source": source, "data": {output: [[{"json": answer}]]}})
    nodes = [{"name": name, "type": f"@n8n/n8n-nodes-langchain.{kind}"} for name, kind, _, _ in _NODES]
    times = {"startedAt": "2026-11-23T07:29:26.657Z", "stoppedAt": "2026-11-23T07:29:26.727Z"}
    row = {"id": "1", "status": "success", "mode": "webhook", "workflowId": "w"}
    return row | times | {"workflowData": {"nodes": nodes}, "data": {"resultData": {"runData": runs}}}


class Ingest:
    """One ledger that executions are counted in, each under an id of its own."""

    def __init__(self, folder: Path) -> None:
        self._engine = create_engine(f"sqlite:///{folder}/ledger.sqlite")
        self._ledger = Ledger(self._engine, SETTINGS, SystemClock())
        self._read = 0
        self._calls = 0

    def read(self, texts: list[bytes], calls: list[Call]) -> None:
        """Add the calls of a batch; an execution that makes no sense has none."""
        for text in texts:
            self._read += 1
            execution = parse_json(text)
            assert isinstance(execution, dict)
            execution["id"] = str(self._read)  # the next one, as n8n counts them
            try:
                calls += calls_of(execution, ORIGIN)
            except Unreadable:
                continue

    def commit(self, calls: list[Call]) -> None:
        """Count them."""
        self._calls += self._ledger.commit(SOURCE, Batch(state={"read": self._read}, calls=tuple(calls)))

    def close(self) -> None:
        """SystemExit when not every call was counted, and counted once."""
        totals = self._ledger.snapshot().totals.items()
        counted = sum(value for (metric, _, _), value in totals if metric == "calls")
        self._engine.dispose()
        if not counted == self._calls > 0:
            raise SystemExit(f"counted {counted} of {self._calls} calls")


def merely_parse(texts: list[bytes]) -> None:
    """The baseline: parse and forget, as reading does, so that neither side pays for memory the other one frees."""
    for text in texts:
        json.loads(text)


def measure(texts: list[bytes], executions: int, folder: Path) -> dict[str, float]:
    """Each step in multiples of merely parsing the same bytes: the best of many short rounds of each."""
    ingest, endless = Ingest(folder), cycle(texts)
    rounds = [_round(ingest, endless, min(_ROUND, executions)) for _ in range(max(1, executions // _ROUND))]
    ingest.close()
    best = {what: min(spent[what] for spent in rounds) for what in rounds[0]}
    return {what: best[what] / best["parse"] for what in best}


def _round(ingest: Ingest, texts: Iterator[bytes], executions: int) -> dict[str, float]:
    """The seconds that each step took; the sides alternate batch by batch."""
    parse = read = count = 0.0
    for _ in range(0, executions, _BATCH):
        batch = list(islice(texts, _BATCH))
        parse += seconds(partial(merely_parse, batch))
        calls: list[Call] = []
        read += seconds(partial(ingest.read, batch, calls))
        count += seconds(partial(ingest.commit, calls))
    return {"parse": parse, "read": read, "count": count, "all": read + count}


def rows(executions: int = EXECUTIONS) -> list[Row]:
    """The ratios with their goal."""
    texts = recorded()
    with tempfile.TemporaryDirectory() as folder:
        ratios = measure(texts, executions, Path(folder))
    kind = "recorded" if RECORDINGS.is_dir() else "made-up"
    baseline = f"json.loads of the same {executions:,} {kind} executions"
    return [
        Row("ingest: read the calls", ratios["read"], baseline),
        Row("ingest: count them", ratios["count"], baseline),
        Row("ingest: all of it", ratios["all"], baseline, GOAL),
    ]


if __name__ == "__main__":
    print_rows(rows(int(sys.argv[1]) if len(sys.argv) > 1 else EXECUTIONS))

"""What counting costs beside parsing: recorded executions are read, counted and shown, and merely parsed as JSON.

Run it with `python -m bench.ingest [copies]` from the checkout. It prints ratios only: seconds of one machine say
nothing about another, while both sides of a ratio ran on the same one a moment apart.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from exporter.calls import Call
from exporter.ledger import Ledger
from exporter.metrics import LedgerCollector
from exporter.sources import Batch
from exporter.sources.n8n_execution import Origin, Unreadable, calls_of
from handrail.clock import SystemClock
from handrail.database import create_engine
from handrail.settings import parse

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "contracts" / "n8n"
SOURCE = "n8n/main"
SETTINGS = parse(
    'sources: {n8n: [{name: main, url: "http://n8n.test", api_key_env: KEY}]}\n'
    "agents: [{name: a, from: {n8n: main, workflow: A}, confidence: $.confidence}]\n"
)
BATCH = 200
# What stands in for recordings where there are none: one agent run with two model calls and a tool.
_NODES = [
    ("AI Agent", "agent", "main", {"output": '{"confidence": 0.9}'}),
    ("Chat Model", "lmChatOpenAi", "ai_languageModel", {"tokenUsage": {"promptTokens": 120, "completionTokens": 15}}),
    ("Chat Model", "lmChatOpenAi", "ai_languageModel", {"tokenUsage": {"promptTokens": 150, "completionTokens": 9}}),
    ("Tool", "toolCode", "ai_tool", {"response": "x" * 2000}),
]


def recorded() -> list[str]:
    """Recorded executions as the text that n8n sends."""
    texts = []
    for path in sorted(RECORDINGS.glob("exec_*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        body = found.get("body", found) if isinstance(found, dict) else None
        if isinstance(body, dict) and "workflowData" in body:
            texts.append(json.dumps(body))
    return texts or [json.dumps(made_up())]


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


def parse_all(texts: list[str], copies: int) -> None:
    """The baseline: parse and forget, as reading does, so that neither side pays for memory the other one frees."""
    for _ in range(copies):
        for text in texts:
            json.loads(text)


def calls_from(texts: list[str], copy: int) -> list[Call]:
    """The calls of all executions, under ids of this copy."""
    calls: list[Call] = []
    for text in texts:
        try:
            calls += calls_of(json.loads(text), Origin(SOURCE, "a", confidence="$.confidence", epoch=copy))
        except Unreadable:
            continue
    return calls


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    clock = SystemClock()
    began = clock.monotonic()
    action()
    return clock.monotonic() - began


def measure(texts: list[str], copies: int, folder: Path) -> dict[str, float]:
    """Each step in multiples of merely parsing the same text."""
    parsing = seconds(lambda: parse_all(texts, copies))
    calls: list[Call] = []

    def read_all() -> None:
        for copy in range(copies):
            calls.extend(calls_from(texts, copy))

    reading = seconds(read_all)
    engine = create_engine(f"sqlite:///{folder}/ledger.sqlite")
    ledger = Ledger(engine, SETTINGS, SystemClock())
    registry = CollectorRegistry()
    registry.register(LedgerCollector(SETTINGS, ledger, []))

    def commit_all() -> None:
        for start in range(0, len(calls), BATCH):
            ledger.commit(SOURCE, Batch(state={"top": start}, calls=tuple(calls[start : start + BATCH])))

    counting, repeating = seconds(commit_all), seconds(commit_all)
    scraping = min(seconds(lambda: generate_latest(registry)) for _ in range(5))
    counted = sum(value for (metric, _, _), value in ledger.snapshot().totals.items() if metric == "calls")
    engine.dispose()
    if counted != len({call.id for call in calls}):
        raise SystemExit(f"counted {counted} of {len(calls)} calls")
    return {
        "parse and read the calls": reading / parsing,
        "count them (200 to a transaction)": counting / parsing,
        "read them again (nothing is new)": repeating / parsing,
        "one scrape": scraping / parsing,
        "all of it": (reading + counting + scraping) / parsing,
    }


def main() -> None:
    """Measure and print."""
    copies = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    texts = recorded()
    kilobytes = sum(map(len, texts)) // 1024
    kind = "recorded" if RECORDINGS.is_dir() else "made-up"
    with tempfile.TemporaryDirectory() as folder:
        ratios = measure(texts, copies, Path(folder))
    print(f"{copies} times {len(texts)} {kind} executions, {kilobytes} kB each time; 1 = merely parsing the same JSON")
    for what, ratio in ratios.items():
        print(f"{ratio:8.2f}  {what}")


if __name__ == "__main__":
    main()

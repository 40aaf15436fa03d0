"""How the agents of one n8n stand now: what has begun and not ended, what is not saved, when they run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from exporter.sources import Gauge, Running
from exporter.sources.n8n_rows import Row, is_test_run
from exporter.sources.n8n_watch import WatchedAgent
from exporter.sources.n8n_workflows import SAVED, Workflow
from exporter.sources.reading import moment

_WAITS = {"waiting": "waiting_calls", "new": "queued_calls"}


def running(unfinished: Iterable[Row], agents: Mapping[str, WatchedAgent]) -> dict[str, Running]:
    """What runs, by agent. A status that is not known counts as running: who is stuck in it is to be seen."""
    starts: dict[str, list[datetime | None]] = {agent.name: [] for agent in agents.values()}
    for name, row in _by_agent(unfinished, agents):
        if row["status"] not in _WAITS:
            starts[name].append(moment(row.get("startedAt")))
    return {
        name: Running(len(found), min((start for start in found if start), default=None))
        for name, found in starts.items()
    }


def gauges(
    unfinished: Sequence[Row], workflows: Iterable[Workflow], agents: Mapping[str, WatchedAgent]
) -> Iterator[Gauge]:
    """What waits and what is queued, the newest start, which outcomes are hidden, how long a schedule may be silent."""
    counts = {(metric, agent.name): 0 for metric in _WAITS.values() for agent in agents.values()}
    for name, row in _by_agent(unfinished, agents):
        if metric := _WAITS.get(row["status"]):
            counts[metric, name] += 1
    yield from (Gauge(metric, count, {"agent": name}) for (metric, name), count in counts.items())
    newest = dict.fromkeys((agent.name for agent in agents.values()), 0.0)
    for name, row in _by_agent(unfinished, agents):
        # What is queued may never begin.
        if row["status"] != "new" and (start := moment(row.get("startedAt"))):
            newest[name] = max(newest[name], start.timestamp())
    yield from (Gauge("newest_running_call_timestamp_seconds", at, {"agent": name}) for name, at in newest.items())
    for workflow in workflows:
        if (agent := agents.get(workflow.id)) is None:
            continue
        for outcome in SAVED:
            labels = {"agent": agent.name, "outcome": outcome}
            yield Gauge("agent_hidden_outcomes", outcome in workflow.hidden, labels)
        if workflow.schedule_interval_s is not None:
            yield Gauge("agent_schedule_interval_seconds", workflow.schedule_interval_s, {"agent": agent.name})


def _by_agent(rows: Iterable[Row], agents: Mapping[str, WatchedAgent]) -> Iterator[tuple[str, Row]]:
    for row in rows:
        if (agent := agents.get(row["workflowId"])) and not is_test_run(row):
            yield agent.name, row

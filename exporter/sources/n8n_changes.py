"""What happened to watched workflows since they were last seen: on or off, another version, another name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.sources import Count
from exporter.sources.n8n_watch import Known, WatchedAgent
from exporter.sources.n8n_workflows import Workflow


@dataclass(frozen=True, slots=True)
class Changes:
    """What to remember instead, what to count, and which workflows have a new name: (agent, id, name)."""

    known: Mapping[str, Known]
    counts: tuple[Count, ...]
    renamed: tuple[tuple[str, str, str], ...]


def changes(before: Mapping[str, Known], workflows: Iterable[Workflow], agents: Mapping[str, WatchedAgent]) -> Changes:
    """Compare. What is seen for the first time has not changed; what cannot be seen now is remembered as it was."""
    known, counts, renamed = dict(before), [], []
    for workflow in workflows:
        if (agent := agents.get(workflow.id)) is None:
            continue
        was, now = before.get(workflow.id), Known(workflow.name, workflow.live, workflow.version)
        known[workflow.id] = now
        if was is None:
            continue
        if was.live != now.live:
            to = {"to": "true" if now.live else "false"}
            counts.append(Count("agent_enabled_changes", agent=agent.name, labels=to))
        if was.version and now.version and was.version != now.version:
            counts.append(Count("workflow_changes", agent=agent.name))
        if was.name != now.name:
            renamed.append((agent.name, workflow.id, now.name))
    return Changes(known, tuple(counts), tuple(renamed))

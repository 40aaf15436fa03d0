"""Which workflows are watched, as which agent, and whether they are published. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.sources.n8n_runs import is_ai_root
from exporter.sources.reading import MAX_NAME, listing, mapping, slug
from handrail.agent_settings import Agent, N8nAgent


@dataclass(frozen=True, slots=True)
class Workflow:
    """One row of n8n's list of workflows."""

    id: str
    name: str
    published: bool
    archived: bool
    has_ai_root: bool


@dataclass(frozen=True, slots=True)
class WatchedAgent:
    """An agent and how to read its confidence."""

    name: str
    confidence: str | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """The watched workflows by id, the names that discovery gave (kept over restarts), and who is switched on."""

    agents: Mapping[str, WatchedAgent]
    discovered: Mapping[str, str]
    enabled: Mapping[str, bool]
    missing: tuple[str, ...]


def workflow_of(row: Mapping[str, Any]) -> Workflow | None:
    """A row as a value; None when it is not a workflow."""
    key, name = row.get("id"), row.get("name")
    if not isinstance(key, str) or not isinstance(name, str):
        return None
    nodes = [*listing(row.get("nodes")), *listing(mapping(row.get("activeVersion")).get("nodes"))]
    return Workflow(
        id=key,
        name=name,
        published=row.get("active") is True,
        archived=row.get("isArchived") is True,
        has_ai_root=any(is_ai_root(str(mapping(node).get("type", ""))) for node in nodes),
    )


def watch(
    workflows: Sequence[Workflow],
    configured: Sequence[Agent],
    *,
    discover: bool,
    exclude: Iterable[str],
    taken: Iterable[str],
    discovered: Mapping[str, str],
) -> Watch:
    """Who is watched now. A workflow that was discovered once stays, unpublished too, until it is archived or gone."""
    agents: dict[str, WatchedAgent] = {}
    missing = []
    for agent in configured:
        found = _find(agent, workflows)
        if found is None:
            missing.append(agent.name)
        else:
            agents.setdefault(found.id, WatchedAgent(agent.name, agent.confidence))
    names = _discover(workflows, discovered, {*exclude}, {*taken}, set(agents)) if discover else {}
    agents |= {key: WatchedAgent(name) for key, name in names.items()}
    published = {workflow.id: workflow.published and not workflow.archived for workflow in workflows}
    enabled = {agent.name: published[key] for key, agent in agents.items()}
    return Watch(agents, names, enabled, tuple(missing))


def _find(agent: Agent, workflows: Sequence[Workflow]) -> Workflow | None:
    """The agent's workflow: by id, else by name; of several with that name a published one before an archived one."""
    wanted = agent.source.workflow if isinstance(agent.source, N8nAgent) else ""
    by_id = next((workflow for workflow in workflows if workflow.id == wanted), None)
    named = [workflow for workflow in workflows if workflow.name == wanted]
    return by_id or min(named, key=lambda workflow: (workflow.archived, not workflow.published), default=None)


def _discover(
    workflows: Sequence[Workflow], before: Mapping[str, str], exclude: set[str], taken: set[str], claimed: set[str]
) -> dict[str, str]:
    eligible = [
        workflow
        for workflow in workflows
        if workflow.id not in claimed
        and not workflow.archived
        and not exclude & {workflow.name, slug(workflow.name), workflow.id}
        and (workflow.id in before or (workflow.published and workflow.has_ai_root))
    ]
    # A name that had to be told apart stays that way; one that its workflow no longer has is given up.
    names = {
        workflow.id: before[workflow.id]
        for workflow in eligible
        if workflow.id in before and before[workflow.id] in _names(workflow) - taken
    }
    used = {*taken, *names.values()}
    for workflow in eligible:
        if workflow.id not in names:
            plain = slug(workflow.name)
            names[workflow.id] = plain if plain and plain not in used else _distinct(workflow)
            used.add(names[workflow.id])
    return names


def _names(workflow: Workflow) -> set[str]:
    return {slug(workflow.name), _distinct(workflow)} - {""}


def _distinct(workflow: Workflow) -> str:
    """A name that no other workflow has."""
    key = slug(workflow.id)
    plain = slug(workflow.name)[: MAX_NAME - len(key) - 1] or "workflow"
    return f"{plain}-{key}"[:MAX_NAME]

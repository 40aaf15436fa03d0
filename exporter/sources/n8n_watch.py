"""Which workflows are watched and as which agent, decided by what is configured, discovered and remembered. Pure.

An agent is a workflow's id: a workflow that is renamed stays the agent that it was, so that its series go on. Who wants
the new name configures an agent of that name with the workflow's id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from exporter.sources.n8n_workflows import Workflow
from exporter.sources.reading import MAX_NAME, slug
from handrail.agent_settings import Agent, N8nAgent

Missing = Literal["workflow_not_found", "workflow_of_another_agent"]


@dataclass(frozen=True, slots=True)
class Known:
    """How a workflow was when it was last seen."""

    name: str
    live: bool
    version: str | None


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered for ever: the names that discovery gave by workflow, the workflow that a configured agent was
    found as (with what was configured then), and how watched workflows were.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    found: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    known: Mapping[str, Known] = field(default_factory=dict)

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Memory:
        """From the JSON that was dumped."""
        return cls(
            names=dict(state.get("discovered", {})),
            found={agent: (wanted, key) for agent, (wanted, key) in state.get("found", {}).items()},
            known={key: Known(*values) for key, values in state.get("known", {}).items()},
        )

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "discovered": dict(sorted(self.names.items())),
            "found": {agent: list(found) for agent, found in sorted(self.found.items())},
            "known": {key: [was.name, was.live, was.version] for key, was in sorted(self.known.items())},
        }


@dataclass(frozen=True, slots=True)
class WatchedAgent:
    """An agent, how to read its confidence, and whether what was said in its calls may be handed over."""

    name: str
    confidence: str | None = None
    transcripts: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """The watched workflows by id, and of each configured agent that has none, why.

    `discovered` are those of `agents` that nobody configured, `ambiguous` configured agents whose name several
    workflows have. `names` and `found` are what is to be remembered.
    """

    agents: Mapping[str, WatchedAgent]
    discovered: Mapping[str, str]
    missing: Mapping[str, Missing]
    ambiguous: frozenset[str]
    names: Mapping[str, str]
    found: Mapping[str, tuple[str, str]]


def suffix_of(name: str, discovering: Iterable[str]) -> str:
    """What the n8n of this name appends to the names that it gives: nothing where it is the first that discovers."""
    return "" if name == next(iter(discovering), name) else name


def watch(
    workflows: Sequence[Workflow],
    configured: Sequence[Agent],
    *,
    discover: bool,
    exclude: Iterable[str],
    taken: Iterable[str],
    memory: Memory,
    suffix: str = "",
) -> Watch:
    """Who is watched now. A workflow that was discovered once stays, unpublished too, until it is archived or gone.

    `taken` are names that discovery must not give, `suffix` is what it appends to every new one.
    """
    agents: dict[str, WatchedAgent] = {}
    missing: dict[str, Missing] = {}
    found: dict[str, tuple[str, str]] = {}
    ambiguous = set()
    for agent in configured:
        wanted = agent.source.workflow if isinstance(agent.source, N8nAgent) else ""
        candidates = _candidates(wanted, workflows, memory.found.get(agent.name))
        if not candidates:
            missing[agent.name] = "workflow_not_found"
            if agent.name in memory.found:
                found[agent.name] = memory.found[agent.name]
        elif candidates[0].id in agents:
            missing[agent.name] = "workflow_of_another_agent"
        else:
            agents[candidates[0].id] = WatchedAgent(agent.name, agent.confidence, agent.hands_over_texts)
            found[agent.name] = (wanted, candidates[0].id)
            if sum(workflow.name == wanted and not workflow.archived for workflow in candidates) > 1:
                ambiguous.add(agent.name)
    names = dict(memory.names)
    chosen = _discover(workflows, names, {*exclude}, {*taken}, set(agents), suffix) if discover else {}
    agents |= {key: WatchedAgent(name) for key, name in chosen.items()}
    return Watch(agents, chosen, missing, frozenset(ambiguous), names, found)


def _candidates(wanted: str, workflows: Sequence[Workflow], before: tuple[str, str] | None) -> list[Workflow]:
    """The workflows that an agent may mean, the best one first: by id; else by name, or the one that had the name.

    What has the name goes before what had it, so that a new workflow can take the place of an old one; among equals the
    one of before stays, so that an agent that is switched off is not taken for another one that is on.
    """
    if by_id := [workflow for workflow in workflows if workflow.id == wanted]:
        return by_id
    followed = before[1] if before and before[0] == wanted else None
    found = [workflow for workflow in workflows if workflow.name == wanted or workflow.id == followed]
    return sorted(found, key=lambda w: (w.archived, w.name != wanted, w.id != followed, not w.published))


def _discover(
    workflows: Sequence[Workflow],
    names: dict[str, str],
    exclude: set[str],
    taken: set[str],
    claimed: set[str],
    suffix: str,
) -> dict[str, str]:
    """The discovered agents by workflow; `names` gets the new names, and loses those that went to another workflow."""
    eligible = [
        workflow
        for workflow in workflows
        if workflow.id not in claimed
        and not workflow.archived
        and not exclude & {workflow.name, slug(workflow.name), workflow.id}
        and (workflow.id in names or (workflow.published and workflow.has_ai_root))
    ]
    present = {workflow.id for workflow in workflows}
    for workflow in eligible:
        if names.get(workflow.id) in {None, *taken}:
            used = taken | {name for key, name in names.items() if key in present and key != workflow.id}
            name = _name(workflow, used, suffix)
            for gone in [key for key, given in names.items() if given == name]:
                del names[gone]
            names[workflow.id] = name
    return {workflow.id: names[workflow.id] for workflow in eligible}


def _name(workflow: Workflow, used: set[str], suffix: str) -> str:
    """Its own name if nobody else has that, else one with its id, which no other workflow has."""
    plain = slug(workflow.name)
    own = _joined(plain, suffix) if plain else ""
    return own if own and own not in used else _joined(plain or "workflow", slug(workflow.id), suffix)


def _joined(name: str, *endings: str) -> str:
    ending = "".join(f"-{part}" for part in endings if part)
    return f"{name[: MAX_NAME - len(ending)]}{ending}"[:MAX_NAME]

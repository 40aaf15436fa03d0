"""What only shows when the whole of `handrail.yaml` is read: names that nothing has, and names used twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.parser import parse

from handrail.agent_settings import GatewayAgent
from handrail.quantities import format_duration

if TYPE_CHECKING:
    from handrail.agent_settings import Agent
    from handrail.settings import Settings
    from handrail.sla import Sla

AGENT_ALERTS = (
    "AgentSlowCallStreak",
    "AgentErrorRatioHigh",
    "AgentTokenUsageHigh",
    "AgentErrorBudgetBurn",
    "AgentStuck",
    "AgentRunawayLoop",
    "AgentLowConfidence",
    "AgentHandoffsRising",
    "AgentLatencyHigh",
    "AgentCostHigh",
)

# A window of fewer may hold one sample only, of which no increase follows.
_SCRAPES = 4

Broken = tuple[list[str], str]


def broken_references(settings: Settings) -> list[Broken]:
    """Every broken reference as (path, what is wrong and how to mend it)."""
    names = {
        "n8n": [source.name for source in settings.sources.n8n],
        "cloudflare": [source.name for source in settings.sources.cloudflare],
    }
    found = [
        *_twice(names["n8n"], ["sources", "n8n"], "source"),
        *_twice(names["cloudflare"], ["sources", "cloudflare"], "source"),
        *_twice([agent.name for agent in settings.agents], ["agents"], "agent"),
    ]
    if not any(names.values()):
        found.append((["sources"], "names no source; add one under n8n: or cloudflare:"))
    if "default" not in settings.slas:
        found.append((["slas"], "needs an entry named default: it holds for agents that name no other"))
    found.extend(_beyond_retention(settings))
    found.extend(_too_short(settings))
    found.extend(_owners(settings))
    found.extend(_assignees(settings))
    for i, agent in enumerate(settings.agents):
        found.extend((["agents", str(i), *path], text) for path, text in _agent(agent, settings, names))
    return found


def _beyond_retention(settings: Settings) -> Iterator[Broken]:
    """What looks back further than Prometheus remembers would be cut short without a word."""
    retention = settings.prometheus.retention
    for name, sla in settings.slas.items():
        for path, window in _looks_back(sla):
            if window > retention:
                yield (
                    ["slas", name, *path],
                    f"looks back {format_duration(window)}, but Prometheus keeps {format_duration(retention)}; "
                    "shorten it or raise prometheus.retention",
                )


def _looks_back(sla: Sla) -> Iterator[tuple[list[str], timedelta]]:
    hour = timedelta(hours=1)
    yield ["objective", "window"], sla.objective.window
    yield ["tokens", "baseline_days"], timedelta(days=sla.tokens.baseline_days) + hour
    if sla.slowdown:
        yield ["slowdown", "baseline_days"], timedelta(days=sla.slowdown.baseline_days) + hour
    if sla.cost and sla.cost.compares:
        # The window before is looked up as it was recorded one window ago, not counted anew.
        yield ["cost", "window"], sla.cost.window + hour


def _too_short(settings: Settings) -> Iterator[Broken]:
    """In less than a few scrapes no increase can be seen, so the alert could never fire, or by luck only."""
    scrape = settings.prometheus.scrape_interval
    for name, sla in settings.slas.items():
        for section, limits in (("percentiles", sla.percentiles), ("slowdown", sla.slowdown)):
            if limits and limits.window < _SCRAPES * scrape:
                yield (
                    ["slas", name, section, "window"],
                    f"{format_duration(limits.window)} is less than {_SCRAPES} scrapes, which are "
                    f"{format_duration(scrape)} apart, so the alert could not fire; write a longer window",
                )


def _owners(settings: Settings) -> Iterator[Broken]:
    """An owner whose name is spelt otherwise than at the agent would never be told anything."""
    owners = sorted({agent.owner for agent in settings.agents if agent.owner})
    for name in settings.notify.owners:
        if name not in owners:
            there = ", ".join(owners) or "none"
            yield ["notify", "owners", name], f"no agent has the owner {name!r}; there are: {there}"


def _twice(names: Sequence[str], at: list[str], what: str) -> Iterator[Broken]:
    for i, name in enumerate(names):
        if name in names[:i]:
            yield [*at, str(i), "name"], f"{name!r} is the name of another {what}; names must differ"


def _agent(agent: Agent, settings: Settings, names: dict[str, list[str]]) -> Iterator[Broken]:
    if agent.sla not in settings.slas:
        yield ["sla"], f"no SLA is named {agent.sla!r}; there are: {', '.join(sorted(settings.slas))}"
    kind, name = agent.source.source_ref
    if name not in names[kind]:
        yield ["from"], f"no {kind} source is named {name!r}; there are: {', '.join(names[kind]) or 'none'}"
    yield from _gateway(agent, settings)
    for alert in agent.kill_on:
        if alert not in AGENT_ALERTS:
            yield ["kill_on"], f"no alert is named {alert!r}; there are: {', '.join(AGENT_ALERTS)}"
    if agent.confidence is not None and not _is_json_path(agent.confidence):
        yield ["confidence"], f"{agent.confidence!r} is not a JSONPath; write e.g. $.confidence"


def _gateway(agent: Agent, settings: Settings) -> Iterator[Broken]:
    """A gateway that is not read has no calls, and of two agents that select the same one would have none."""
    selector = agent.source
    if not isinstance(selector, GatewayAgent):
        return
    for source in settings.sources.cloudflare:
        if source.name == selector.ai_gateway and selector.gateway not in (None, *source.gateways):
            read = ", ".join(source.gateways) or "none"
            yield ["from"], f"no gateway {selector.gateway!r} is read from {source.name!r}; its gateways are: {read}"
    before = settings.agents[: settings.agents.index(agent)]
    if same := next((other.name for other in before if other.source == selector), None):
        yield ["from"], f"selects the same requests as agent {same!r}, which would have all of them"


def _is_json_path(text: str) -> bool:
    try:
        parse(text)
    except (JSONPathError, AttributeError):  # the parser's lexer fails on some texts with the latter
        return False
    return text.startswith("$")


def _assignees(settings: Settings) -> Iterator[Broken]:
    """A name that is spelt otherwise than at the agent would never be assigned anything."""
    jira = settings.tickets.jira
    names = sorted(
        {agent.name for agent in settings.agents} | {agent.owner for agent in settings.agents if agent.owner}
    )
    for name in jira.assignee if jira else ():
        if name not in (*names, "default"):
            there = ", ".join(names) or "none"
            yield (
                ["tickets", "jira", "assignee", name],
                f"is neither an agent nor the owner of one, nor default; there are: {there}",
            )

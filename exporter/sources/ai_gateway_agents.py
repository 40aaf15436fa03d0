"""Whose call a row of the AI Gateway is: the agent whose selector is the most specific that fits, or a new one."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from exporter.sources.ai_gateway_rows import Row
from exporter.sources.reading import slug
from handrail.agent_settings import Agent, GatewayAgent
from handrail.logs import LogOnce, get_logger
from handrail.source_settings import CloudflareSource

MAX_DISCOVERED = 200


class Selection:
    """Finds agents by metadata, user-agent or gateway. Of selectors that are equally specific the first wins."""

    def __init__(self, settings: CloudflareSource, agents: Sequence[Agent]) -> None:
        self._settings = settings
        self._taken = {agent.name for agent in agents}
        mine = [
            (agent.name, agent.source)
            for agent in agents
            if isinstance(agent.source, GatewayAgent) and agent.source.ai_gateway == settings.name
        ]
        self._selectors = sorted(mine, key=lambda named: named[1].specificity, reverse=True)
        self._log_once = LogOnce(get_logger("ai_gateway"))

    def agent_of(self, row: Row, discovered: set[str]) -> str | None:
        """The agent's name, None for nobody's; new agents go to `discovered`."""
        for name, selector in self._selectors:
            if _fits(selector, row):
                return name
        if not self._settings.discover:
            return None
        name = slug(self._given(row))
        # A configured agent's name belongs to what its selector selects.
        if not name or name in self._taken:
            return None
        if name not in discovered and len(discovered) >= MAX_DISCOVERED:
            text = f"{MAX_DISCOVERED} agents were discovered; more are not counted: is the value an agent's name?"
            self._log_once.failed(self._settings.name, "too_many_agents", text=text)
            return None
        discovered.add(name)
        return name

    def _given(self, row: Row) -> str:
        if self._settings.discover_by == "gateway":
            return row.gateway
        if self._settings.discover_by == "user_agent":
            # The product without its version, so that a new release is not a new agent.
            return row.user_agent.split(maxsplit=1)[0].split("/", 1)[0] if row.user_agent.strip() else ""
        return row.metadata.get(self._settings.agent_metadata_key, "")


def _fits(selector: GatewayAgent, row: Row) -> bool:
    if selector.gateway is not None and selector.gateway != row.gateway:
        return False
    if selector.user_agent is not None and not fnmatchcase(row.user_agent, selector.user_agent):
        return False
    return all(row.metadata.get(key) == value for key, value in selector.metadata.items())

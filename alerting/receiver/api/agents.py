"""The state of the agents, for programs, and the flag that an agent reads before it works."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, Header, Response
from fastapi.responses import JSONResponse

from alerting.receiver import flags
from alerting.receiver.api.access import Refused
from alerting.receiver.api.answers import Agent, Agents, Enabled, Incidents, errors
from alerting.receiver.api.parts import Parts
from alerting.receiver.overview import AgentView

MOST_INCIDENTS = 100


def routes(app: FastAPI, parts: Parts) -> None:
    """Mount the paths of agents."""

    @app.get("/v1/agents", tags=["agents"], summary="All agents", response_model=Agents, responses=errors())
    def list_agents() -> object:
        view = parts.overview.read()
        return {"agents": [_plain(agent) for agent in view.agents], "problem": view.problem}

    @app.get("/v1/incidents", tags=["agents"], summary="Open incidents", response_model=Incidents, responses=errors())
    def list_incidents() -> object:
        return {"incidents": parts.overview.read().incidents[:MOST_INCIDENTS]}

    @app.get("/v1/agents/{agent}", tags=["agents"], summary="One agent", response_model=Agent, responses=errors(404))
    def get_agent(agent: str) -> object:
        found = next((view for view in parts.overview.read().agents if view.name == agent), None)
        if found is None:
            raise Refused(404, "there is no such agent")
        return _plain(found)

    @app.get(
        "/v1/agents/{agent}/enabled",
        tags=["agents"],
        summary="May the agent work?",
        response_model=Enabled,
        responses=errors(404) | {304: {"description": "As it was when the ETag was given."}},
    )
    def get_enabled(agent: str, if_none_match: Annotated[str | None, Header()] = None) -> Response:
        if not parts.overview.knows(agent):
            raise Refused(404, "there is no such agent")
        flag = flags.get(parts.engine, agent)
        etag = f'"{flag.revision}"'
        headers = {"etag": etag, "cache-control": "no-cache"}
        if if_none_match == etag:
            return Response(status_code=304, headers=headers)
        return JSONResponse({"agent": agent, "enabled": flag.enabled}, headers=headers)


def _plain(agent: AgentView) -> dict[str, Any]:
    return asdict(agent) | {"state": agent.state}

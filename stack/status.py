"""What a person sees of the stack: a table of its parts, the screen after a start, and the ends of the logs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from rich.table import Table

from handrail.agent_settings import Agent, N8nAgent
from handrail.clock import Clock
from handrail.http import HttpClient
from handrail.quantities import format_duration
from handrail.settings import Settings
from stack.health import is_healthy
from stack.plan import reachable
from stack.state import RUNNING, STOPPED, PartState, StackState
from stack.supervisor import log_file

LEFT_BEHIND = "left behind"


@dataclass(frozen=True, slots=True)
class Row:
    """One part as the table shows it."""

    name: str
    status: str
    healthy: bool
    pid: int | None
    uptime: timedelta | None
    restarts: int
    last_exit: str | None
    url: str


def rows(stack: StackState, *, client: HttpClient, clock: Clock) -> list[Row]:
    """Every part as it is now: what the state file says, held against the processes and their answers."""
    return [_row(part, supervised=stack.supervised, client=client, clock=clock) for part in stack.parts]


def _row(part: PartState, *, supervised: bool, client: HttpClient, clock: Clock) -> Row:
    alive = part.identity is not None and part.identity.alive
    unsupervised = LEFT_BEHIND if alive else STOPPED
    started = datetime.fromisoformat(part.started_at) if alive and part.started_at else None
    return Row(
        name=part.name,
        status=part.status if supervised else unsupervised,
        healthy=alive and is_healthy(client, part.health_url),
        pid=part.identity.pid if alive and part.identity else None,
        uptime=clock.now() - started if started else None,
        restarts=part.restarts,
        last_exit=part.last_exit,
        url=part.url,
    )


def table(found: Sequence[Row]) -> Table:
    """The rows, for a terminal."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("part", "status", "healthy", "pid", "uptime", "restarts", "last exit", "URL"):
        drawn.add_column(heading, justify="right" if heading in {"pid", "uptime", "restarts"} else "left", no_wrap=True)
    for row in found:
        drawn.add_row(
            row.name,
            row.status if row.status == RUNNING else f"[red]{row.status}[/red]",
            "[green]yes[/green]" if row.healthy else "[red]no[/red]",
            str(row.pid or "-"),
            format_duration(_whole_seconds(row.uptime)) if row.uptime is not None else "-",
            str(row.restarts),
            row.last_exit or "-",
            row.url,
        )
    return drawn


def welcome(
    settings: Settings, *, simulated: bool, world_url: str | None, grafana_url: str | None = None
) -> Iterator[str]:
    """The one screen after a start: addresses, watched agents, what to do next."""
    yield ""
    if simulated:
        yield "  This is a simulated world: there is no handrail.yaml, so three demo agents with steady traffic are"
        yield "  watched, and a simulated n8n, Cloudflare, model, Jira and Slack answer. Nothing leaves this machine."
        yield ""
    yield f"  Agents, alerts, switches  {settings.receiver.public_url}/"
    yield f"  Prometheus                http://{reachable(settings.prometheus.listen)}"
    yield f"  Alertmanager              http://{reachable(settings.alertmanager.listen)}"
    yield f"  Metrics of the agents     http://{reachable(settings.exporter.listen)}/metrics"
    if grafana_url is not None:
        yield f"  Grafana                   {grafana_url} (user admin)"
    if world_url is not None:
        yield f"  Simulated world           {world_url}/state"
    yield ""
    yield "  Watched agents"
    for agent in settings.agents:
        owner = f", owner {agent.owner}" if agent.owner else ""
        yield f"    {agent.name:<24}{_origin(agent)}{owner}"
    for kind, name in _discovering(settings):
        yield f"    and every agent found in {kind} {name!r}"
    yield ""
    yield "  Next"
    if simulated:
        yield "    make drill      inject failures; watch alert, Slack message, ticket and kill switch happen"
    yield "    make status     how the parts are (make logs, make down)"
    if simulated:
        yield "    Your own agents: cp handrail.example.yaml handrail.yaml, edit it, make up"


def _origin(agent: Agent) -> str:
    if isinstance(agent.source, N8nAgent):
        return f"n8n workflow {agent.source.workflow!r}"
    return f"Cloudflare AI Gateway {agent.source.ai_gateway!r}"


def _discovering(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from (("n8n", source.name) for source in settings.sources.n8n if source.discover)
    yield from (("Cloudflare", source.name) for source in settings.sources.cloudflare if source.discover)


def last_lines(state: Path, name: str, count: int) -> list[str]:
    """The end of a part's log; nothing when there is none."""
    try:
        with log_file(state, name).open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=count)]
    except OSError:
        return []


def log_names(state: Path) -> list[str]:
    """The parts that have a log."""
    return sorted(path.stem for path in (state / "logs").glob("*.log"))


def _whole_seconds(value: timedelta) -> timedelta:
    return timedelta(seconds=max(0, int(value.total_seconds())))

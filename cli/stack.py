"""`handrail stack`: start, stop and look at everything; what `make up`, `make down`, `make status` and so on run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import TypeVar

import click
from rich.console import Console

from cli.check import check
from cli.configuration import load_or_exit
from handrail import logs
from handrail.clock import SystemClock
from handrail.http import build_client
from handrail.ports import Ports
from handrail.secret import SecretError
from handrail.settings import Settings
from stack import native, simulated, status, tools
from stack.files import exclusive
from stack.health import HealthWait, Unhealthy
from stack.plan import Plan
from stack.state import read
from stack.supervisor import log_file, supervise

F = TypeVar("F", bound=Callable[..., object])

_TEAM_FILE = Path("handrail.yaml")
_LOG_LINES_ON_FAILURE = 15
_HIGHEST_OFFSET = 47_000  # the highest port of the simulated world still fits


def _state_option(command: F) -> F:
    option = click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
        default=Path(".handrail"),
        show_default=True,
        help="The folder for everything the stack writes.",
    )
    return option(command)


def _choice_options(command: F) -> F:
    """Adds what decides which world is watched."""
    options = (
        click.option(
            "--port-offset",
            type=click.IntRange(0, _HIGHEST_OFFSET),
            default=0,
            envvar="PORT_OFFSET",
            help="Added to every port of the simulated world and its stack.",
        ),
        click.option("--simulated", "simulate", is_flag=True, help="The simulated world, even beside a handrail.yaml."),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False, resolve_path=True),
            envvar="HANDRAIL_CONFIG",
            help="The team's file; by default handrail.yaml, and the simulated world where there is none.",
        ),
    )
    for option in options:
        command = option(command)
    return _state_option(command)


@click.group()
def stack() -> None:
    """Run everything on this machine, without containers."""


@stack.command()
@_choice_options
@click.pass_context
def up(context: click.Context, config: Path | None, simulate: bool, port_offset: int, state: Path) -> None:  # noqa: FBT001
    """Start everything; return when every part answers healthy."""
    clock = SystemClock()
    began = clock.monotonic()
    with _clear_errors(), exclusive(state):
        settings, plan, ports = _prepared(context, config, simulate=simulate, port_offset=port_offset, state=state)
        before = read(state)
        supervisor: Popen[bytes] | None = None
        if unchanged := before.supervised and before.digest == plan.digest:
            click.echo("Handrail is running already, with this configuration.")
        else:
            if before.supervised:
                click.echo("The configuration or the program changed: starting anew.")
            # A new configuration that cannot start must not end the stack that runs.
            native.check_ports(plan, ours=native.ports_in_use(state))
            native.write_configuration(settings, state)
            native.stop(state, clock=clock)
            native.check_ports(plan)
            supervisor = native.launch(plan, state)
        _wait_healthy(plan, state, supervisor)
    if not unchanged:
        click.echo(f"Handrail is up, every part healthy after {clock.monotonic() - began:.0f} s.")
    world_url = f"http://127.0.0.1:{ports.control}" if ports is not None else None
    for line in status.welcome(settings, simulated=plan.simulated, world_url=world_url):
        click.echo(line)


@stack.command()
@_choice_options
@click.pass_context
def foreground(context: click.Context, config: Path | None, simulate: bool, port_offset: int, state: Path) -> None:  # noqa: FBT001
    """Start everything and stay: ends with Ctrl-C or SIGTERM. For systemd and containers."""
    clock = SystemClock()
    with _clear_errors(), exclusive(state):
        settings, plan, ports = _prepared(context, config, simulate=simulate, port_offset=port_offset, state=state)
        if read(state).supervised:
            raise click.ClickException("Handrail is running already. End it first: make down")
        native.write_configuration(settings, state)
        native.stop(state, clock=clock)
        native.check_ports(plan)
        if plan.simulated:
            simulated.forget(state)
    world_url = f"http://127.0.0.1:{ports.control}" if ports is not None else None
    for line in status.welcome(settings, simulated=plan.simulated, world_url=world_url):
        click.echo(line)
    click.echo(f"\nCtrl-C ends it. The parts write to {state / 'logs'}; this is the supervisor's log:")
    logs.configure(sys.stderr)
    supervise(plan, state, clock=clock)


@stack.command("supervise", hidden=True)
@_state_option
def supervise_plan(state: Path) -> None:
    """What `up` leaves running: the supervisor of the plan it wrote."""
    logs.configure(sys.stderr)
    plan = Plan.from_json(native.plan_file(state).read_text(encoding="utf-8"))
    supervise(plan, state, clock=SystemClock())


@stack.command()
@_state_option
def down(state: Path) -> None:
    """Stop everything; also what a killed supervisor left behind."""
    with exclusive(state):
        ended = native.stop(state, clock=SystemClock())
    click.echo("Handrail is stopped." if ended else "Handrail was not running.")


@stack.command("status")
@_state_option
def show_status(state: Path) -> None:
    """Show how every part is. Exit code 1 when one is not healthy or not running."""
    with build_client(timeout_s=2) as client:
        found = status.rows(read(state), client=client, clock=SystemClock())
    if not found:
        click.echo("Handrail is not running. Start it: make up")
        raise SystemExit(1)
    # Piped into a file or a log there is no terminal whose width the table would have to fit.
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(status.table(found))
    if not all(row.healthy for row in found):
        raise SystemExit(1)


@stack.command("logs")
@_state_option
@click.argument("part", required=False)
@click.option(
    "-n", "--lines", type=click.IntRange(min=1), default=None, help="Lines per part: 100 for one, 15 for all."
)
def show_logs(part: str | None, lines: int | None, state: Path) -> None:
    """Show the end of every part's log, or of one."""
    names = status.log_names(state)
    if part is not None and part not in names:
        raise click.ClickException(f"no log of {part!r}; there are: {', '.join(names) or 'none yet'}")
    for name in [part] if part is not None else names:
        click.echo(f"==> {log_file(state, name)}")
        for line in status.last_lines(state, name, lines or (100 if part else 15)):
            click.echo(line)


@stack.command("tools")
@_state_option
@click.option("--second", is_flag=True, help="The newer Prometheus of Debian unstable, to test the rules on both.")
def fetch_tools(second: bool, state: Path) -> None:  # noqa: FBT001
    """Find Prometheus and Alertmanager, or unpack them into the state folder."""
    with _clear_errors(), exclusive(state):
        if second:
            click.echo(tools.install_second(state, say=click.echo))
            return
        tools.install(state, say=click.echo)
        for name in tools.TOOLS:
            click.echo(tools.find(name, state=state))


def _prepared(
    context: click.Context, config: Path | None, *, simulate: bool, port_offset: int, state: Path
) -> tuple[Settings, Plan, Ports | None]:
    if config is None and not simulate and _TEAM_FILE.exists():
        config = _TEAM_FILE.resolve()
    if config is not None and not simulate:
        if port_offset:
            click.echo("PORT_OFFSET moves the simulated world only; your file says where your parts listen.", err=True)
        context.invoke(check, config=config)
        settings = load_or_exit(config)
        return settings, native.make_plan(settings, config=config, state=state, ports=None, say=click.echo), None
    ports = Ports(offset=port_offset)
    written = simulated.write(state, ports)
    settings = load_or_exit(written)
    return settings, native.make_plan(settings, config=written, state=state, ports=ports, say=click.echo), ports


def _wait_healthy(plan: Plan, state: Path, supervisor: Popen[bytes] | None) -> None:
    def runs() -> bool:
        return supervisor.poll() is None if supervisor is not None else read(state).supervised

    with build_client(timeout_s=2) as client:
        try:
            HealthWait(client, state, clock=SystemClock()).wait(
                [part.name for part in plan.parts],
                supervisor_runs=runs,
                say=lambda name: click.echo(f"  {name} is healthy"),
            )
        except Unhealthy as problem:
            click.echo(f"{problem}. The end of {log_file(state, problem.name)}:", err=True)
            for line in status.last_lines(state, problem.name, _LOG_LINES_ON_FAILURE):
                click.echo(f"  {line}", err=True)
            click.echo("What runs goes on running: make status, make logs, make down.", err=True)
            raise SystemExit(1) from problem


@contextmanager
def _clear_errors() -> Iterator[None]:
    """What went wrong in words, and exit code 1, instead of a stack trace."""
    try:
        yield
    except (tools.ToolMissing, native.PortsTaken, SecretError) as error:
        raise click.ClickException(str(error)) from error

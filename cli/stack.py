"""`handrail stack`: start, stop and look at everything; what `make up`, `make down`, `make status` and so on run.

What runs the parts is `stack.native` or, in containers, `stack.in_containers`.
"""

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
from handrail import __version__, logs
from handrail.clock import Clock, SystemClock
from handrail.http import build_client
from handrail.ports import Ports
from handrail.secret import SecretError
from stack import docker, in_containers, native, runtime, sbom, simulated, status, tools
from stack.docker import DockerFailed
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
    """Run everything on this machine, in containers where there is Docker."""


@stack.command()
@_choice_options
@click.option(
    "--runtime",
    "asked",
    type=click.Choice(["auto", "docker", "native"]),
    default="auto",
    show_default=True,
    envvar="RUNTIME",
    help="Containers, or processes of this machine; by default containers where they can be had.",
)
@click.pass_context
def up(
    context: click.Context,
    config: Path | None,
    simulate: bool,  # noqa: FBT001
    port_offset: int,
    asked: runtime.Asked,
    state: Path,
) -> None:
    """Start everything; return when every part answers healthy."""
    clock = SystemClock()
    began = clock.monotonic()
    with _clear_errors(), exclusive(state):
        wanted = _wanted(context, config, simulate=simulate, port_offset=port_offset, state=state)
        choice = runtime.choose(
            asked,
            last=None if wanted.ports else runtime.recall(state),
            measured_natively=wanted.measured_natively,
            why_not=lambda: in_containers.why_not(wanted, say=click.echo),
        )
        if choice.runtime == "docker":
            started = in_containers.up(wanted, clock=clock, say=click.echo)
        else:
            click.echo(f"Processes of this machine, no containers: {choice.reason}.")
            started = _up_natively(wanted, clock)
        grafana_url = in_containers.grafana_url(state)
    if started:
        click.echo(f"Handrail is up, every part healthy after {clock.monotonic() - began:.0f} s.")
    else:
        click.echo("Handrail is running already, with this configuration.")
    _welcome(wanted, grafana_url)


def _up_natively(wanted: in_containers.Wanted, clock: Clock) -> bool:
    state = wanted.state
    plan = _plan(wanted)
    before = read(state)
    supervisor: Popen[bytes] | None = None
    if not (unchanged := before.supervised and before.digest == plan.digest):
        if before.supervised:
            click.echo("The configuration or the program changed: starting anew.")
        in_containers.stop_other(state, project=None)
        # A new configuration that cannot start must not end the stack that runs.
        native.check_ports(plan, ours=native.ports_in_use(state))
        native.write_configuration(wanted.settings, state)
        native.stop(state, clock=clock)
        native.check_ports(plan)
        runtime.remember(state, runtime.Chosen("native", wanted.project, plan.simulated))
        supervisor = native.launch(plan, state)
    _wait_healthy(plan, state, supervisor)
    return not unchanged


def _welcome(wanted: in_containers.Wanted, grafana_url: str | None) -> None:
    world_url = f"http://127.0.0.1:{wanted.ports.control}" if wanted.ports is not None else None
    lines = status.welcome(
        wanted.settings, simulated=wanted.ports is not None, world_url=world_url, grafana_url=grafana_url
    )
    for line in lines:
        click.echo(line)


@stack.command()
@_choice_options
@click.pass_context
def foreground(context: click.Context, config: Path | None, simulate: bool, port_offset: int, state: Path) -> None:  # noqa: FBT001
    """Start everything as processes of this machine and stay: ends with Ctrl-C or SIGTERM. For systemd."""
    clock = SystemClock()
    with _clear_errors(), exclusive(state):
        wanted = _wanted(context, config, simulate=simulate, port_offset=port_offset, state=state)
        plan = _plan(wanted)
        if read(state).supervised or _in_containers(state):
            raise click.ClickException("Handrail is running already. End it first: make down")
        native.write_configuration(wanted.settings, state)
        runtime.remember(state, runtime.Chosen("native", wanted.project, plan.simulated))
        native.stop(state, clock=clock)
        native.check_ports(plan)
        if plan.simulated:
            simulated.forget(state)
    _welcome(wanted, None)
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
    with _clear_errors(), exclusive(state):
        ended = native.stop(state, clock=SystemClock())
        ended = in_containers.stop_other(state, project=None) or ended
    click.echo("Handrail is stopped." if ended else "Handrail was not running.")


@stack.command("status")
@_state_option
def show_status(state: Path) -> None:
    """Show how every part is. Exit code 1 when one is not healthy or not running."""
    if chosen := _in_containers(state):
        with _clear_errors():
            found = in_containers.rows(state, chosen, clock=SystemClock())
    else:
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
    chosen = _in_containers(state)
    with _clear_errors():
        names = [row.name for row in in_containers.rows(state, chosen, clock=SystemClock())] if chosen else []
    names = names or status.log_names(state)
    if part is not None and part not in names:
        raise click.ClickException(f"no log of {part!r}; there are: {', '.join(names) or 'none yet'}")
    for name in [part] if part is not None else names:
        count = lines or (100 if part else 15)
        click.echo(f"==> {name if chosen else log_file(state, name)}")
        with _clear_errors():
            last = (
                in_containers.log_lines(state, chosen, name, count) if chosen else status.last_lines(state, name, count)
            )
        for line in last:
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


@stack.command("sbom")
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
def write_sbom(to: Path) -> None:
    """Write what the image is made of, as a CycloneDX bill of materials."""
    lock = (docker.ROOT / "requirements-image.lock").read_text(encoding="utf-8")
    components = sbom.python_libraries(lock)
    try:
        components += sbom.debian_packages(docker.packages(in_containers.IMAGE))
    except DockerFailed as error:
        click.echo(f"Without the image's Debian packages, as there is no image to ask ({error}).", err=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(sbom.document(__version__, components, now=SystemClock().now()) + "\n", encoding="utf-8")
    click.echo(f"{len(components)} components: {to}")


def _in_containers(state: Path) -> runtime.Chosen | None:
    """What runs in containers; None when that was not chosen last, or was ended."""
    chosen = runtime.recall(state)
    if chosen is None or chosen.runtime != "docker":
        return None
    with _clear_errors():
        return chosen if in_containers.containers(state, chosen) else None


def _wanted(
    context: click.Context, config: Path | None, *, simulate: bool, port_offset: int, state: Path
) -> in_containers.Wanted:
    if config is None and not simulate and _TEAM_FILE.exists():
        config = _TEAM_FILE.resolve()
    if config is not None and not simulate:
        if port_offset:
            click.echo("PORT_OFFSET moves the simulated world only; your file says where your parts listen.", err=True)
        context.invoke(check, config=config)
        return in_containers.Wanted(load_or_exit(config), config, state, None)
    ports = Ports(offset=port_offset)
    written = simulated.write(state, ports)
    return in_containers.Wanted(load_or_exit(written), written, state, ports)


def _plan(wanted: in_containers.Wanted) -> Plan:
    return native.make_plan(
        wanted.settings, config=wanted.config, state=wanted.state, ports=wanted.ports, say=click.echo
    )


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
    except (tools.ToolMissing, native.PortsTaken, SecretError, DockerFailed, runtime.NotPossible) as error:
        raise click.ClickException(str(error)) from error

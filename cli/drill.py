"""`handrail drill`: inject failures into the simulated world and verify alert, message, ticket and fallback."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console

from cli.configuration import config_option, load_or_exit
from drill.probes import Addresses, ProbeFailed, Probes, planting
from drill.report import ConsoleProgress, print_verdict, write_journal
from drill.runner import play_all
from drill.scenario import Scenario, Stage, Verdict
from drill.scenarios import SCENARIOS
from handrail.clock import SystemClock
from handrail.http import build_client
from handrail.ports import Ports
from handrail.settings import Settings
from stack import in_containers
from stack.docker import DockerFailed
from stack.runtime import Chosen, recall
from stack.tools import find


@click.command()
@config_option
@click.option(
    "--only", multiple=True, type=click.Choice(sorted(SCENARIOS)), help="Play only this scenario (repeatable)."
)
@click.option("--port-offset", type=int, default=0, envvar="PORT_OFFSET", help="As given to make up.")
@click.option("--state", type=click.Path(path_type=Path), default=Path(".handrail"), show_default=True)
def drill(config: Path, only: tuple[str, ...], port_offset: int, state: Path) -> None:
    """Inject failures and verify the whole line. Exit code 1 if anything was missing."""
    settings = load_or_exit(config)
    console = Console()
    drill_id = secrets.token_hex(3)
    chosen = [SCENARIOS[name] for name in only] or list(SCENARIOS.values())
    with build_client(timeout_s=60) as client, ConsoleProgress(console) as progress:
        probes = Probes(
            client,
            _addresses(settings, Ports(offset=port_offset)),
            operator_token=settings.receiver.operator_token.read(),
            plant_history=_history(state),
        )

        def announce(scenario: Scenario) -> None:
            console.print(f"\n[bold]{scenario.title}[/bold]  ({scenario.name}, {scenario.alertname})")

        verdicts = play_all(
            chosen,
            stage_for=lambda _: Stage(drill_id=drill_id, probes=probes, clock=SystemClock(), progress=progress),
            announce=announce,
            report=lambda verdict: print_verdict(console, verdict),
        )
        _tell_the_receiver(probes, drill_id, verdicts, console)
    passed = sum(verdict.passed for verdict in verdicts)
    journal = write_journal(state / "drills", verdicts, drill_id=drill_id)
    console.print(f"\n{passed} of {len(verdicts)} scenarios passed. Journal: {journal}")
    raise SystemExit(0 if passed == len(verdicts) else 1)


def _history(state: Path) -> Callable[[Path], None]:
    chosen = recall(state)
    if chosen is not None and chosen.runtime == "docker":
        return lambda openmetrics: _plant(state, chosen, openmetrics)
    return planting(find("promtool", state=state), state / "prometheus")


def _plant(state: Path, chosen: Chosen, openmetrics: Path) -> None:
    try:
        in_containers.plant_history(state, chosen, openmetrics)
    except DockerFailed as error:
        raise ProbeFailed(f"promtool could not write history: {error}") from error


def _tell_the_receiver(probes: Probes, drill_id: str, verdicts: Sequence[Verdict], console: Console) -> None:
    rows = [
        {"scenario": v.scenario, "alertname": v.alertname, "passed": v.passed, "detect_seconds": v.detect_seconds}
        for v in verdicts
    ]
    try:
        probes.report(drill_id, rows)
    except ProbeFailed as error:
        console.print(f"\n[bold]NOT RECORDED[/bold]  HandrailDrillStale does not know of this drill: {error}")


def _addresses(settings: Settings, ports: Ports) -> Addresses:
    return Addresses(
        world=f"http://127.0.0.1:{ports.control}",
        prometheus=f"http://{settings.prometheus.listen}",
        alertmanager=f"http://{settings.alertmanager.listen}",
        receiver=f"http://{settings.receiver.listen}",
    )

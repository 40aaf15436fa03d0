"""`handrail test-rules`: the rules of the team's own file, proved with Prometheus' own checker."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from typing import Any

import click
import yaml
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from alerting.render import SecretFiles, render
from alerting.rule_tests.all import cases
from alerting.rule_tests.case import Case
from alerting.rule_tests.promtool import Verdict, verify
from cli.configuration import config_option, load_or_exit
from handrail.settings import Settings
from stack.tools import ToolMissing, find

_ANYWHERE = Path("/run/secrets/any")


@click.command("test-rules")
@config_option
@click.option(
    "--promtool",
    "programs",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="The promtool to use; may be given several times. Without it, the one that make up would use.",
)
@click.option("--alert", help="Only the tests of this alert.")
@click.option("--verbose", is_flag=True, help="Show every test, not only how many there were.")
def test_rules(config: Path, programs: tuple[Path, ...], alert: str | None, verbose: bool) -> None:  # noqa: FBT001
    """Prove when each alert of your file fires, stays silent and resolves. Exit code 1 if a proof fails."""
    settings = load_or_exit(config)
    wanted = [case for case in cases(settings) if alert in (None, case.alert)]
    if not wanted:
        raise click.UsageError(f"no test is about an alert named {alert!r}")
    try:
        programs = programs or (find("promtool", state=Path(".handrail")),)
    except ToolMissing as missing:
        raise click.ClickException(str(missing)) from missing
    console = Console()
    failed = False
    for program in programs:
        verdicts = list(_verdicts(wanted, _rules(settings), program, console))
        console.print(_each(verdicts) if verbose else _summary(verdicts))
        for verdict in (verdict for verdict in verdicts if not verdict.passed):
            failed = True
            console.print(f"[bold red]FAILED[/] {verdict.case.alert}, SLA {verdict.case.subject.get('sla', '-')}, "
                          f"{verdict.case.kind}: {verdict.case.says}")  # fmt: skip
            console.print(verdict.said, markup=False)
    sys.exit(1 if failed else 0)


def _rules(settings: Settings) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        render(settings, Path(folder), SecretFiles.of(settings, lambda _, secret: _ANYWHERE))
        return yaml.safe_load((Path(folder) / "rules" / "handrail.yml").read_text(encoding="utf-8"))


def _verdicts(wanted: Sequence[Case], rules: Any, program: Path, console: Console) -> Iterator[Verdict]:
    def one(case: Case) -> Verdict:
        with tempfile.TemporaryDirectory() as folder:
            return verify(case, rules, promtool=program.absolute(), folder=Path(folder))

    with ThreadPoolExecutor(cpu_count() or 1) as pool, Progress(console=console, transient=True) as progress:
        yield from progress.track(pool.map(one, wanted), total=len(wanted), description=f"{program.name} …")


def _summary(verdicts: Sequence[Verdict]) -> Table:
    table = Table("alert", "SLA", "tests", "passed", box=None, pad_edge=False)
    groups = Counter((verdict.case.alert, verdict.case.subject.get("sla", "")) for verdict in verdicts)
    for (alert, sla), count in groups.items():
        passed = sum(
            verdict.passed
            for verdict in verdicts
            if (verdict.case.alert, verdict.case.subject.get("sla", "")) == (alert, sla)
        )
        table.add_row(alert, sla, str(count), "all" if passed == count else f"[bold red]{passed} only[/]")
    return table


def _each(verdicts: Sequence[Verdict]) -> Table:
    table = Table("alert", "SLA", "claim", "what is tried", "", box=None, pad_edge=False)
    for verdict in verdicts:
        case = verdict.case
        outcome = "passed" if verdict.passed else "[bold red]FAILED[/]"
        table.add_row(case.alert, case.subject.get("sla", ""), case.kind, case.says, outcome)
    return table

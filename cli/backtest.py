"""`handrail backtest`: how often alerts would have fired in the past, with today's numbers and with others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click
from rich.console import Console

from alerting.alert_rules import Rules, rules_of
from alerting.backtest.plan import Compared, compared
from alerting.backtest.proposal import BadProposal, Change, propose, with_sla
from cli.backtest_pasts import NoPast, known, of_ledger, running
from cli.backtest_replay import Replay, Replayed
from cli.backtest_table import Report, TakeOver, as_json, print_report
from cli.configuration import config_option, load_or_exit
from cli.durations import Duration
from exporter.calls_view import NoCalls
from exporter.history.from_ledger import COUNTED_BY
from handrail.clock import Clock, SystemClock
from handrail.http import HttpClient, build_client
from handrail.positions import parse_yaml
from handrail.quantities import format_duration
from handrail.settings import Settings
from stack.history import HistoryFailed
from stack.past import Grid, PastUnknown
from stack.tools import ToolMissing

_SHORT_OF = timedelta(hours=1)
_QUERY_S = 150
_WIDTH_WHEN_PIPED = 120


@click.command()
@config_option
@click.option("--since", type=Duration(), default="14d", show_default=True, help="How far back.")
@click.option("--agent", help="Only this agent.")
@click.option("--sla", help="Only this SLA; with --set, the one whose numbers are changed.")
@click.option("--set", "changes", multiple=True, metavar="NUMBER=VALUE", help="Try another number: errors.ratio=3%.")
@click.option("--json", "for_program", is_flag=True, help="For a program, with every single firing.")
@click.option("--state", type=click.Path(path_type=Path, file_okay=False), default=Path(".handrail"), show_default=True)
def backtest(
    config: Path,
    since: timedelta,
    agent: str | None,
    sla: str | None,
    changes: tuple[str, ...],
    for_program: bool,  # noqa: FBT001 - click passes it by name
    state: Path,
) -> None:
    """Replay the alert rules on the past: how often each would have fired, for how long, and what other numbers do.

    Prometheus evaluates the rules over its own history. Where that does not reach, and for numbers that the exporter
    counts by, it is made of the ledger's calls. Nothing is changed, neither the history nor your file.
    """
    settings = load_or_exit(config)
    clock, console = SystemClock(), Console(stderr=True)
    try:
        trial = _trial(settings, config, agent, sla, changes)
        with _clear_errors(), build_client(timeout_s=_QUERY_S) as client:
            report = _replay(trial, client, clock, console, since=since, state=state)
    except BadProposal as error:
        raise click.UsageError(str(error)) from error
    if for_program:
        click.echo(as_json(report))
    else:
        output = Console()
        print_report(report, output if output.is_terminal else Console(width=_WIDTH_WHEN_PIPED))


@dataclass(frozen=True, slots=True)
class _Trial:
    """What is asked: whose rules, by which numbers instead, and where those stand in the file."""

    settings: Settings
    proposed: Settings | None
    slas: tuple[str, ...]
    agent: str | None
    take_over: tuple[TakeOver, ...] = ()

    def rules(self) -> tuple[Compared, ...]:
        """To replay. It takes seconds to render them."""
        return tuple(
            compared(
                _rules(self.settings, self.slas),
                _rules(self.proposed, self.slas) if self.proposed else None,
                slas=self.slas,
                counted_by=COUNTED_BY,
                changed=[one.change.path for one in self.take_over if one.change.now != one.change.proposed],
            )
        )


def _trial(settings: Settings, config: Path, agent: str | None, sla: str | None, texts: tuple[str, ...]) -> _Trial:
    slas = _slas(settings, agent, sla)
    if not texts:
        return _Trial(settings, None, slas, agent)
    if len(slas) > 1:
        raise BadProposal(f"whose number is it? Name one of the SLAs with --sla: {', '.join(slas)}")
    other, changes = propose(settings.slas[slas[0]], texts)
    proposed = with_sla(settings, slas[0], other)
    return _Trial(settings, proposed, slas, agent, tuple(_take_over(config, slas[0], changes)))


def _rules(settings: Settings, slas: tuple[str, ...]) -> Rules:
    """Without those of other SLAs: to render them takes a second each."""
    return rules_of(settings.model_copy(update={"slas": {name: settings.slas[name] for name in slas}}))


def _slas(settings: Settings, agent: str | None, sla: str | None) -> tuple[str, ...]:
    if sla is not None and sla not in settings.slas:
        raise BadProposal(f"there is no SLA {sla!r}; there are: {', '.join(settings.slas)}")
    configured = settings.agent(agent) if agent else None
    held_to = configured.sla if configured else None
    if sla and held_to and sla != held_to:
        raise BadProposal(f"{agent} is held to the SLA {held_to}, not to {sla}")
    one = sla or held_to or ("default" if agent else None)
    # Rules that hold for nobody take as long as the others. Discovered agents are held to `default`.
    used = {"default", *(each.sla for each in settings.agents)}
    return (one,) if one else tuple(name for name in settings.slas if name in used)


def _take_over(config: Path, sla: str, changes: tuple[Change, ...]) -> Iterator[TakeOver]:
    """Where each number stands in the file, or below which line it belongs."""
    positions = parse_yaml(config.read_text(encoding="utf-8"))[1]
    for change in changes:
        path = ("slas", sla, *change.path.split("."))
        yield TakeOver(change, ".".join(path), positions.line(path), stands_there=path in positions.lines)


def _replay(
    trial: _Trial, client: HttpClient, clock: Clock, console: Console, *, since: timedelta, state: Path
) -> Report:
    now = clock.now()
    asked, past = now - since, known(client, trial.settings, since=since, agent=trial.agent)
    rules = trial.rules()
    by_ledger = [rule for rule in rules if past.from_ledger(rule, asked)]
    rest = [rule for rule in rules if rule not in by_ledger]
    notes, left_out = [], []
    if rest and not past.prometheus:
        left_out = list(_names(rest, by_ledger))
        notes.append(f"Only Prometheus knows the past of {', '.join(left_out)}: not replayed.")
        notes.append(past.silent or "Prometheus answers and has no calls yet.")
        rest = []
    if unable := [rule for rule in rest if rule.recount]:
        names = ", ".join(sorted({rule.alert for rule in unable}))
        raise NoPast(f"{names}: the exporter counts by this number, so the calls are needed, and the ledger has none")
    used = [*([past.ledger] if by_ledger else []), *([past.prometheus] if rest else [])]
    begins = {name: min(each[name] for each in used if name in each) for each in used for name in each}
    from_ = max(asked, min(begins.values(), default=asked))
    grid = Grid.between(from_, now, trial.settings.prometheus.evaluation_interval)
    notes += _short(begins, asked, now, since)
    replayed: list[Replayed] = []
    with Replay(grid, console, trial.agent, rules=rules) as replay:
        replayed += replay.all(rest, running(client, trial.settings), source="prometheus")
        if by_ledger:
            counted = [trial.settings]
            if trial.proposed and any(rule.recount for rule in by_ledger):
                counted.append(trial.proposed)
            with of_ledger(client, clock, counted, agents=list(past.ledger), state=state, say=replay.say) as pasts:
                replayed += replay.all(by_ledger, pasts[0], source="ledger", proposed=pasts[-1])
    return Report(grid, tuple(replayed), trial.proposed is not None, trial.take_over, tuple(notes), tuple(left_out))


def _names(rules: Sequence[Compared], others: Sequence[Compared]) -> Iterator[str]:
    """Of alerts; with the variant where another one of the alert is among the others."""
    known = {rule.alert for rule in others}
    names = (f"{rule.alert} ({rule.variant})" if rule.alert in known else rule.alert for rule in rules)
    yield from dict.fromkeys(names)


def _short(begins: dict[str, datetime], asked: datetime, now: datetime, since: timedelta) -> Iterator[str]:
    enough = min(_SHORT_OF, since / 20)
    late = {name: at for name, at in begins.items() if at > asked + enough}
    if late and len(late) == len(begins):
        first = min(late.values())
        yield f"History begins {_ago(now - first)} ago; --since {format_duration(since)} asks for more."
        late = {name: at for name, at in late.items() if at > first + enough}
    for name, at in sorted(late.items()):
        yield f"{name}: history begins {_ago(now - at)} ago."


def _ago(value: timedelta) -> str:
    whole = timedelta(hours=1) if value >= timedelta(days=1) else timedelta(minutes=1)
    return format_duration(round(value / whole) * whole)


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except (NoPast, NoCalls, PastUnknown, HistoryFailed, ToolMissing) as error:
        raise click.ClickException(str(error)) from error

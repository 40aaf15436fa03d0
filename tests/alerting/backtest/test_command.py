"""`handrail backtest` counts what a real Prometheus makes of the past, and what other numbers would have done."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len
from rich.console import Console

from alerting.backtest.firings import Firing
from alerting.backtest.plan import Compared, Version
from alerting.backtest.proposal import Change
from cli.backtest import backtest
from cli.backtest_pasts import Known
from cli.backtest_replay import Replayed
from cli.backtest_table import Report, TakeOver, print_report, timeline
from exporter.calls import Call
from exporter.history import from_ledger
from exporter.history.spool import Spool
from exporter.ledger import Ledger
from exporter.sources import Batch
from handrail.clock import SystemClock
from handrail.database import create_engine
from handrail.http import build_client
from handrail.settings import parse
from stack.history import make_blocks
from stack.past import Grid
from stack.scratch import scratch_prometheus
from tests.alerting.conftest import find
from tests.cli.calls_ledger import made

CONFIG = """\
sources: {{n8n: [{{name: main, url: "http://n8n.test", api_key_env: KEY, discover: true}}]}}
slas:
  default:
    errors: {{ratio: 2%, window: 10m}}
  patient: {{latency: {{threshold: 60s}}}}
agents:
  - {{name: invoices, from: {{n8n: main, workflow: Invoices}}}}
  - {{name: research, from: {{n8n: main, workflow: Research}}, sla: patient}}
exporter: {{database_url: "sqlite:///{folder}/ledger.sqlite"}}
prometheus: {{listen: "{listen}", evaluation_interval: 15s}}
"""
NOWHERE = "127.0.0.1:1"
HOUR = 3600.0
DAYS = 2


def past() -> Iterator[Call]:
    """A call every two minutes; in one hour one of four fails, in another three in a row take 7 seconds."""
    for number in range(DAYS * 720):
        ago = DAYS * 24 * HOUR - number * 120 - 60
        bad = 30 * HOUR < ago <= 31 * HOUR and number % 4 == 0
        slow = 20 * HOUR < ago <= 20 * HOUR + 360
        fields: dict[str, Any] = {"error_reason": "timeout"} if bad else {}
        yield made(number, ago_s=ago, seconds=7.0 if slow else 1.0, **fields)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a ledger of that past, and the programs that are found first."""
    made_in = tmp_path_factory.mktemp("backtest")
    settings = parse(CONFIG.format(folder=made_in, listen=NOWHERE))
    engine = create_engine(settings.exporter.database_url)
    Ledger(engine, settings, SystemClock()).commit("n8n/main", Batch(state={}, calls=tuple(past())))
    engine.dispose()
    return made_in


def run(folder: Path, *arguments: str, listen: str = NOWHERE) -> Result:
    (folder / "handrail.yaml").write_text(CONFIG.format(folder=folder, listen=listen))
    options = ["--config", str(folder / "handrail.yaml"), "--state", str(folder / "state"), *arguments]
    return CliRunner().invoke(backtest, options)


def of(result: Result, alert: str) -> tuple[Any, Any]:
    """How the alert did, now and proposed."""
    assert result.exit_code == 0, result.output
    (found,) = (each for each in json.loads(result.stdout)["alerts"] if each["alert"] == alert)
    return found["now"], found["proposed"]


@pytest.fixture(scope="module")
def served(folder: Path, prometheus_program: Path) -> Iterator[str]:
    """Where a Prometheus has that past."""
    own = folder / f"served-{prometheus_program.parts[-4]}"
    own.mkdir()
    settings = parse(CONFIG.format(folder=folder, listen=NOWHERE))
    spool, clock = Spool(own / "calls.sqlite", identity="test"), SystemClock()
    from_ledger.gather(settings, spool, ["invoices"])
    list(from_ledger.write(settings, spool, own / "history.om", until=clock.now()))
    spool.close()
    make_blocks(prometheus_program.with_name("promtool"), own / "history.om", own / "blocks")
    with build_client(timeout_s=10) as client, scratch_prometheus(prometheus_program, own, client, clock) as url:
        yield url.removeprefix("http://")


@pytest.mark.tools
def test_a_bad_hour_fires_once_and_not_with_a_looser_number(folder: Path, served: str) -> None:
    """From its first failure until the last one is out of the window; the line to change is named."""
    arguments = ("--agent", "invoices", "--since", "4d", "--set", "errors.ratio=50%", "--json")
    result = run(folder, *arguments, listen=served)
    now, proposed = of(result, "AgentErrorRatioHigh")
    assert (now["fired"], now["flaps"], proposed["fired"]) == (1, 0, 0)
    failed = [call.finished_at for call in past() if call.outcome == "error"]
    lasts = failed[-1] - failed[0] + timedelta(minutes=10)
    assert now["total_seconds"] == now["longest_seconds"] == pytest.approx(lasts.total_seconds(), abs=90)
    report = json.loads(result.stdout)
    assert {each["alert"] for each in report["alerts"]} == {"AgentErrorRatioHigh"}
    assert report["alerts"][0]["history"] == "prometheus"
    (change,) = report["changes"]
    assert change == {"path": "slas.default.errors.ratio", "now": "2%", "proposed": "50%", "line": 4}
    assert report["notes"] == ["History begins 2d ago; --since 4d asks for more."]


PROGRAMS = find(("prometheus",))[:1]


@pytest.mark.tools
@pytest.mark.skipif(not PROGRAMS, reason="no prometheus found: name its folder in HANDRAIL_TOOLS, or run make up once")
def test_the_ledger_is_replayed_where_prometheus_does_not_reach(folder: Path) -> None:
    """With the same result, also for a number that the exporter counts by; what only Prometheus knows is said."""
    bin_folder = folder / "state/bin/usr/bin"
    bin_folder.mkdir(parents=True)
    for name in ("prometheus", "promtool"):
        (bin_folder / name).symlink_to(PROGRAMS[0].with_name(name))
    changes = ("errors.window=20m", "latency.threshold=8s", "stuck.after=1h")
    arguments = [word for change in changes for word in ("--set", change)]
    result = run(folder, "--agent", "invoices", "--since", "2d", "--json", *arguments)
    now, proposed = of(result, "AgentErrorRatioHigh")
    assert (now["fired"], proposed["fired"]) == (1, 1)
    assert proposed["total_seconds"] - now["total_seconds"] == pytest.approx(600, abs=60)
    now, proposed = of(result, "AgentSlowCallStreak")
    assert (now["fired"], proposed["fired"]) == (1, 0)
    assert now["total_seconds"] == pytest.approx(5 * 60, abs=75)
    report = json.loads(result.stdout)
    assert {each["history"] for each in report["alerts"]} == {"ledger"}
    assert report["not_replayed"] == ["AgentStuck"]


def test_calls_are_counted_anew_only_for_a_number_the_exporter_counts_by() -> None:
    """No query could tell what it would have counted; otherwise the past that reaches further is taken."""
    version = Version("handrail_slow_streak_last_breach_timestamp_seconds > 0", timedelta(), timedelta())
    asked = datetime(2026, 11, 1, tzinfo=UTC)
    late = asked + timedelta(days=3)
    rule = Compared("AgentSlowCallStreak", "critical", "", version, version)
    both = Known({"invoices": asked}, {"invoices": asked})
    assert not both.from_ledger(rule, asked)
    assert both.from_ledger(replace(rule, recount=True), asked)
    assert Known({"invoices": late}, {"invoices": asked}).from_ledger(rule, asked)
    assert not Known({"invoices": asked}, {"invoices": late}).from_ledger(rule, asked)
    assert not Known({}, {}).from_ledger(rule, asked)
    stuck = replace(rule, now=replace(version, expr="handrail_oldest_running_call_timestamp_seconds > 0"))
    assert not Known({"invoices": late}, {"invoices": asked}).from_ledger(stuck, asked)


@pytest.mark.parametrize("width", [80, 120])
def test_a_report_fits_the_terminal(width: int) -> None:
    """Now and proposed stand below each other, and the last lines say what to write where."""
    grid = Grid(0, 14 * 86_400_000, 15_000)
    fired = (Firing(0, 100_000), Firing(300_000, 13 * 86_400_000))
    agent = "an-agent-with-a-rather-long-name"
    replayed = (
        Replayed("AgentErrorRatioHigh", "critical", agent, "ledger", fired, fired[:1]),
        Replayed("AgentSlowCallStreak", "critical", None, "prometheus", (), ()),
    )
    change = Change("errors.ratio", "2%", "3%")
    places = (
        TakeOver(change, "slas.default.errors.ratio", 23, stands_there=True),
        TakeOver(change, "slas.default.errors.ratio", 20, stands_there=False),
    )
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    print_report(Report(grid, replayed, compares=True, take_over=places, notes=(), not_replayed=()), console)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert all(cell_len(line) <= width for line in lines)
    (now,) = (line.split() for line in lines if " now " in line)
    (proposed,) = (line.split() for line in lines if line.lstrip().startswith("proposed"))
    assert now[1:6] == ["now", "2", "12d23h", "12d23h", "1"]
    assert proposed[:5] == ["proposed", "1", "1m40s", "1m40s", "0"]
    assert "Never fired: AgentSlowCallStreak" in lines
    assert "  line 23: slas.default.errors.ratio: 2% becomes 3%" in lines
    assert "  add slas.default.errors.ratio: 3% (near line 20); without it, 2% holds" in lines


def test_the_transcript_in_the_documentation_is_what_is_printed(root: Path) -> None:
    """Of a fortnight in which a looser number would have left three of eight firings."""
    minute, day = 60_000, 86_400_000
    begins = round(datetime(2026, 11, 9, 12, tzinfo=UTC).timestamp() * 1000)
    fired = [(1, 0, 10), (1, 22, 10), (3, 200, 55), (4, 700, 10), (8, 60, 95), (9, 0, 10), (9, 20, 10), (12, 500, 70)]
    each = [Firing(b := begins + d * day + m * minute, b + long * minute) for d, m, long in fired]
    looser = [firing for firing in each if firing.ends - firing.begins > 30 * minute]
    replayed = (
        Replayed("AgentErrorRatioHigh", "critical", "invoice-summary", "prometheus", (each[2],), ()),
        Replayed("AgentErrorRatioHigh", "critical", "support-bot", "prometheus", tuple(each), tuple(looser)),
    )
    place = TakeOver(Change("errors.ratio", "2%", "5%"), "slas.default.errors.ratio", 46, stands_there=True)
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system=None)
    grid = Grid(begins, begins + 14 * day, 15_000)
    print_report(Report(grid, replayed, compares=True, take_over=(place,), notes=(), not_replayed=()), console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    lines = [line.rstrip() for line in printed.splitlines()]
    assert "\n".join(lines) in (root / "docs/alerts.md").read_text(), "\n".join(lines)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--agent", "invoices", "--set", "errors.ration=3%"], 2, "did you mean errors.ratio"),
        (["--agent", "invoices", "--set", "latency.threshold=4"], 2, "4 has no unit"),
        (["--set", "errors.ratio=3%"], 2, "Name one of the SLAs with --sla: default, patient"),
        (["--sla", "impatient"], 2, "there are: default, patient"),
        (["--sla", "patient", "--agent", "invoices"], 2, "invoices is held to the SLA default"),
        (["--since", "14"], 2, "write a whole number with a unit"),
        (["--agent", "nobody"], 1, "no call of nobody"),
    ],
)
def test_what_cannot_be_replayed_is_explained(folder: Path, arguments: list[str], code: int, says: str) -> None:
    """Before anything is asked, where that is possible."""
    result = run(folder, *arguments)
    assert (result.exit_code, says in result.output) == (code, True), result.output


def test_no_history_at_all_says_what_to_do(tmp_path: Path) -> None:
    """Neither Prometheus nor a ledger."""
    result = run(tmp_path, "--agent", "invoices")
    assert result.exit_code == 1
    assert "does not answer" in result.output
    assert "there is no ledger at" in result.output


def test_a_timeline_shows_how_much_of_each_piece_fired() -> None:
    """A moment is seen as well as an hour."""
    hour = 3_600_000
    grid = Grid(0, 10 * hour - 15_000, 15_000)
    each = [Firing(0, hour), Firing(3 * hour, 3 * hour + hour // 2), Firing(7 * hour, 7 * hour + 15_000)]
    assert timeline(each, grid, 10) == "█··▄···▁··"
    assert timeline([Firing(grid.last, grid.last, open=True)], grid, 10) == "·········▁"

"""Single calls go by age and by size, never what a source may report again; totals stay and room is given back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from exporter.ledger import Ledger
from exporter.retention import READ_AGAIN, Pruned, prune
from exporter.storage import used
from exporter.tables import calls_table
from handrail.database import create_engine
from handrail.settings import Retention, Settings
from tests.exporter.making import SOURCE, START, StandingClock, batch, call, total

DAY = 86_400
OTHER = "n8n/other"


def kept(engine: Engine) -> set[tuple[str, str]]:
    with engine.connect() as connection:
        return {(row.source, row.id) for row in connection.execute(select(calls_table))}


@pytest.fixture
def clock() -> StandingClock:
    clock = StandingClock()
    clock.time = START + timedelta(days=100)
    return clock


def test_calls_older_than_the_retention_go_and_totals_stay(
    engine: Engine, ledger: Ledger, clock: StandingClock
) -> None:
    """After 45 days a call goes and its count stays; exactly 45 days is not yet older. Looked for once an hour."""
    ledger.commit(SOURCE, batch(call(0), call(1), call(45 * DAY + 1)))
    assert (ledger.prune(), kept(engine)) == (1, {(SOURCE, "1"), (SOURCE, str(45 * DAY + 1))})
    ledger.commit(SOURCE, batch(call(46 * DAY)))
    assert ledger.prune() == 0
    clock.elapsed += 3600
    assert ledger.prune() == 1
    assert (total(ledger.snapshot(), "calls"), ledger.stored_calls) == (4, 2)


def test_age_is_measured_from_a_sources_own_newest_call(engine: Engine, ledger: Ledger) -> None:
    """A source that was down for 90 days reads some minutes before its cursor again: those calls are still known."""
    ledger.commit(SOURCE, batch(call(1), call(2)))
    ledger.commit(OTHER, batch(call(90 * DAY, source=OTHER)))
    assert ledger.prune() == 0
    assert ledger.commit(SOURCE, batch(call(1), call(2), call(90 * DAY))) == 1


def test_a_clock_that_jumps_ahead_forgets_nothing(ledger: Ledger, clock: StandingClock) -> None:
    """Neither does the machine's clock alone make calls old, nor a source's: the earlier of the two counts."""
    ledger.commit(SOURCE, batch(call(1)))
    clock.time += timedelta(days=4000)
    assert ledger.prune() == 0
    clock.time = START + timedelta(seconds=10)
    clock.elapsed += 3600
    ledger.commit(SOURCE, batch(call(4000 * DAY)))
    assert ledger.prune() == 0
    assert ledger.commit(SOURCE, batch(call(1), call(4000 * DAY))) == 0


def fill(ledger: Ledger, days: int, per_day: int = 100) -> None:
    """Calls with long texts, spread evenly over so many days."""
    for day in range(days):
        ends = (day * DAY + n * (DAY // per_day) for n in range(per_day))
        ledger.commit(SOURCE, batch(*(call(end, url="http://n8n.test/" + "x" * 4000) for end in ends)))


def limited(size: int) -> Retention:
    """Smaller than a file may ask for, so that a test need not write much."""
    return Retention().model_copy(update={"size": size})


def in_use(engine: Engine) -> int:
    with engine.connect() as connection:
        return used(connection)


def test_the_oldest_calls_go_when_the_ledger_is_too_large(engine: Engine, ledger: Ledger, clock: StandingClock) -> None:
    """It becomes smaller than the limit, and what is left are the newest calls without a gap."""
    fill(ledger, days=10)
    limit = in_use(engine) // 2
    pruned = prune(engine, limited(limit), clock.now())
    assert 0 < pruned.calls < 1000
    assert not pruned.too_large
    assert in_use(engine) <= limit
    left = sorted(int(number) for _, number in kept(engine))
    assert left == sorted(day * DAY + n * 864 for day in range(10) for n in range(100))[-len(left) :]
    assert prune(engine, limited(limit), clock.now()) == Pruned(0, too_large=False)


def test_what_a_source_may_report_again_is_kept_however_large_it_is(
    engine: Engine, ledger: Ledger, clock: StandingClock
) -> None:
    """The last day of calls stays, and the ledger says that it is larger than the limit."""
    fill(ledger, days=3)
    pruned = prune(engine, limited(1), clock.now())
    newest = 2 * DAY + 99 * 864
    assert pruned == Pruned(200 - 1, too_large=True)
    assert min(int(number) for _, number in kept(engine)) >= newest - READ_AGAIN.total_seconds()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shrinking.sqlite"


@pytest.fixture
def on_disk(file: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{file}")
    yield engine
    engine.dispose()


def test_the_file_shrinks_and_so_does_its_journal(
    file: Path, on_disk: Engine, config: Settings, clock: StandingClock
) -> None:
    """Half the calls away is about half the file away; the journal is cut to its limit."""
    ledger = Ledger(on_disk, config, clock)
    fill(ledger, days=20)
    before = ledger.snapshot().storage.size_bytes
    prune(on_disk, limited(before // 2), clock.now())
    after = ledger.snapshot().storage.size_bytes
    assert after < before * 0.6
    on_disk.dispose()  # the last connection that closes writes the journal into the file
    assert file.stat().st_size == after
    with on_disk.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_size_limit").scalar() == 16 * 1024**2
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"

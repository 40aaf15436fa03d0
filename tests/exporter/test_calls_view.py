"""Single calls are read beside the writers: none is left out and none is shown twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.calls_view import CallsView, NoCalls, NoLedger, Wanted, reading_ledger
from exporter.ledger import Ledger
from handrail.database import create_engine
from handrail.settings import parse
from tests.exporter.making import CONFIG, StandingClock, batch, call
from tests.postgresql import NewDatabase


@settings(max_examples=20)
@given(delays=st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=12))
def test_a_batch_that_had_to_wait_is_not_left_out(tmp_path_factory: object, delays: list[tuple[int, bool]]) -> None:
    """Stamps are taken before the write lock, so a later commit may carry an earlier stamp."""
    folder: Path = tmp_path_factory.mktemp("ledger")  # type: ignore[attr-defined]  # pytest's
    config = parse(CONFIG + f'exporter: {{database_url: "sqlite:///{folder}/ledger.sqlite"}}\n')
    engine, clock = create_engine(config.exporter.database_url), StandingClock()
    ledger = Ledger(engine, config, clock)
    follower = CallsView(config).follow(Wanted())
    seen: list[str] = []
    for number, (late_s, look) in enumerate(delays):
        clock.advance(5)
        now = clock.time
        clock.time = now - timedelta(seconds=late_s)
        ledger.commit("n8n/main", batch(call(number)))
        clock.time = now
        if look:
            seen += [row.id for row in follower.new()]
    seen += [row.id for row in follower.new()]
    engine.dispose()
    assert sorted(seen, key=int) == [str(number) for number in range(len(delays))]


def test_what_is_there_already_is_not_new(new_database: NewDatabase) -> None:
    """Following begins at now, and a call that was shown by other means can be told."""
    config = parse(CONFIG + f'exporter: {{database_url: "{new_database()}"}}\n')
    engine = create_engine(config.exporter.database_url)
    ledger, view = Ledger(engine, config, StandingClock()), CallsView(config)
    ledger.commit("n8n/main", batch(call(1)))
    follower = view.follow(Wanted())
    ledger.commit("n8n/main", batch(call(2), call(3)))
    follower.saw(view.recent(Wanted(), limit=1))
    assert [row.id for row in follower.new()] == ["2"]
    assert follower.new() == []
    engine.dispose()


def test_looking_changes_nothing(new_database: NewDatabase) -> None:
    """The connection itself refuses to write, on either store."""
    config = parse(CONFIG + f'exporter: {{database_url: "{new_database()}"}}\n')
    engine = create_engine(config.exporter.database_url)
    Ledger(engine, config, StandingClock()).commit("n8n/main", batch(call(1)))
    with pytest.raises(NoCalls, match="read"), reading_ledger(config) as connection:
        connection.exec_driver_sql("DELETE FROM calls")
    assert len(CallsView(config).recent(Wanted(), limit=5)) == 1
    engine.dispose()


def test_a_database_without_tables_holds_no_ledger(new_database: NewDatabase) -> None:
    """It was made and no exporter ran on it."""
    config = parse(CONFIG + f'exporter: {{database_url: "{new_database()}"}}\n')
    engine = create_engine(config.exporter.database_url)
    with engine.begin():
        pass
    with pytest.raises(NoLedger, match="holds no ledger yet"):
        CallsView(config).recent(Wanted(), limit=5)
    engine.dispose()

"""Single calls are read beside the writers: none is left out and none is shown twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.calls_view import CallsView, Wanted
from exporter.ledger import Ledger
from handrail.database import create_engine
from handrail.settings import parse
from tests.exporter.making import CONFIG, StandingClock, batch, call


@settings(max_examples=20, deadline=None)
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


def test_what_is_there_already_is_not_new(tmp_path: Path) -> None:
    """Following begins at now, and a call that was shown by other means can be told."""
    config = parse(CONFIG + f'exporter: {{database_url: "sqlite:///{tmp_path}/ledger.sqlite"}}\n')
    engine = create_engine(config.exporter.database_url)
    ledger, view = Ledger(engine, config, StandingClock()), CallsView(config)
    ledger.commit("n8n/main", batch(call(1)))
    follower = view.follow(Wanted())
    ledger.commit("n8n/main", batch(call(2), call(3)))
    follower.saw(view.recent(Wanted(), limit=1))
    assert [row.id for row in follower.new()] == ["2"]
    assert follower.new() == []
    engine.dispose()

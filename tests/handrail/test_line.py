"""Who comes first is served first, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from handrail.database import create_engine
from handrail.line import Line


def test_the_turn_goes_to_who_has_waited_longest():
    """Not to the one that left a moment ago and comes again."""
    line, served = Line(), []
    assert line.enter(0)

    def wait(name: str, began: threading.Event) -> None:
        began.set()
        assert line.enter(30)
        served.append(name)
        line.leave()

    threads = []
    for name in ("first", "second", "third"):
        began = threading.Event()
        threads.append(threading.Thread(target=wait, args=(name, began)))
        threads[-1].start()
        assert began.wait(30)
        while len(line._waiting) < len(threads):
            time.sleep(0.001)
    line.leave()
    assert line.enter(30), "behind them"
    assert served == ["first", "second", "third"]
    line.leave()
    for thread in threads:
        thread.join(timeout=30)


def test_one_that_gave_up_is_not_served():
    """The turn passes it by."""
    line = Line()
    assert line.enter(0)
    assert not line.enter(0.01)
    line.leave()
    assert line.enter(0)


def test_a_writer_without_a_break_keeps_no_other_from_writing(tmp_path):
    """Between any two of its transactions another one of the same program has its turn, and readers wait for none."""
    engine = create_engine(f"sqlite:///{tmp_path}/a.sqlite")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (who TEXT)"))
    stop = threading.Event()

    def write(who: str) -> None:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO t VALUES (:who)"), {"who": who})

    def busy() -> None:
        while not stop.is_set():
            write("busy")

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(busy)
        try:
            for _ in range(20):
                write("other")
        finally:
            stop.set()
        working.result(timeout=30)
    with engine.begin() as connection:
        written = connection.scalars(text("SELECT who FROM t")).all()
    first, last = written.index("other"), len(written) - 1 - written[::-1].index("other")
    between = written[first:last].count("busy")
    assert between <= 2 * 20, "the other one was put off"
    engine.dispose()


def test_a_transaction_that_fails_hands_its_turn_on(tmp_path):
    """Whether its statement fails or its program does."""
    engine = create_engine(f"sqlite:///{tmp_path}/a.sqlite")
    with pytest.raises(OperationalError), engine.begin() as connection:
        connection.execute(text("nonsense"))
    with pytest.raises(RuntimeError), engine.begin():
        raise RuntimeError
    began = time.monotonic()
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (who TEXT)"))
    assert time.monotonic() - began < 4
    engine.dispose()

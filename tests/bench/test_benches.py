"""The benchmarks run and count what they claim to; how fast it is here is nobody's concern."""

from __future__ import annotations

import pytest

from bench import ingest, scrape
from bench.measure import Row


def test_ingest_measures_each_step() -> None:
    """Every call it read was counted once, or it would not end."""
    assert [row.what for row in ingest.rows(300)] == [
        "ingest: read the calls",
        "ingest: count them",
        "ingest: all of it",
    ]


def test_a_scrape_has_as_many_series_as_what_it_is_compared_with() -> None:
    """Both sides render the same."""
    (row,) = scrape.rows((3,))
    assert row.value > 0


@pytest.mark.parametrize(("value", "verdict"), [(2.4, "OK"), (2.5, "OK"), (2.51, "MISSED")])
def test_a_goal_is_the_most_that_a_ratio_may_be(value: float, verdict: str) -> None:
    """What is exactly the goal reaches it."""
    assert Row("it", value, "another", 2.5).verdict == verdict

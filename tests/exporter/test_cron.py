"""When a Cloudflare cron runs: its own numbering of weekdays, its own rule for two day fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from exporter.sources.cron import expected

# A Sunday.
START = datetime(2026, 11, 1, tzinfo=UTC)


def days(cron: str, count: int = 30) -> list[int]:
    return [time.day for time in expected(cron, START, START + timedelta(days=count)) or ()]


@pytest.mark.parametrize(
    ("cron", "on"),
    [
        ("0 17 * * sun", [1, 8, 15, 22, 29]),
        ("0 17 * * 1", [1, 8, 15, 22, 29]),
        ("10 7 * * 2-6", [2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 16, 17, 18, 19, 20, 23, 24, 25, 26, 27, 30]),
        ("10 7 * * mon-fri", [2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 16, 17, 18, 19, 20, 23, 24, 25, 26, 27, 30]),
        ("0 15 1 * *", [1]),
        ("0 18 * * 6L", [27]),
        ("0 18 * * FRIL", [27]),
        ("59 23 LW * *", [30]),
        ("0 0 L NOV *", [30]),
        ("0 0 * * 7#2", [14]),
        ("0 0 * * 1,7", [1, 7, 8, 14, 15, 21, 22, 28, 29]),
        ("0 0 * * */3", [1, 4, 7, 8, 11, 14, 15, 18, 21, 22, 25, 28, 29]),
        ("0 0 13 * 6", [6, 13, 20, 27]),
        ("0 0 15 * 6", [6, 13, 15, 20, 27]),
        ("0 0 */20 * 6", [1, 6, 13, 20, 21, 27]),
        ("0 0 * * *", list(range(1, 31))),
    ],
)
def test_days_are_cloudflares(cron: str, on: list[int]) -> None:
    """Sunday is 1; of a day of the month and a weekday either is enough, unless one of them is a bare star."""
    assert days(cron) == on


def test_times_are_from_and_up_to() -> None:
    """The first moment belongs to the window and the last one does not."""
    times = expected("*/30 * * * *", START, START + timedelta(hours=1))
    assert times == (START, START + timedelta(minutes=30))


@pytest.mark.parametrize("cron", ["", "* * * *", "0 0 15W * *", "0 0 L-3 * *", "nonsense * * * *", "0 0 30 2 *"])
def test_what_is_not_understood_is_not_guessed(cron: str) -> None:
    """No times are something else than an expression without times."""
    assert expected(cron, START, START + timedelta(days=1)) is None

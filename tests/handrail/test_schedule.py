"""When an agent should be called, and when a call is due after any moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.schedule import EARLY, Cron, Every, parse_schedule

BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def berlin(text: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("every 15m", Every(timedelta(minutes=15))),
        (" every  1h30m ", Every(timedelta(minutes=90))),
        ("0 9 * * 1-5", Cron("0 9 * * 1-5")),
        ("0 9 * * MON-FRI Europe/Berlin", Cron("0 9 * * MON-FRI", "Europe/Berlin")),
        ("0 0 29 2 *", Cron("0 0 29 2 *")),
    ],
)
def test_a_schedule_is_an_interval_or_a_cron(text: str, schedule: Every | Cron) -> None:
    """As written, whatever the spaces; a cron without a time zone is in UTC."""
    assert parse_schedule(text) == schedule
    assert parse_schedule(str(schedule)) == schedule


@pytest.mark.parametrize(
    "text", ["", "15m", "every", "every day", "every 0s", "@daily", "0 9 * *", "* * * * * *", "0 0 30 2 *", "0 9 * * 8",
             "0 9 * * 1 Mars/Base", "0 9 * * 1 ../UTC", "0 9 * * 1 Europe"],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(text: str) -> None:
    """Also a day that never comes, and a folder of time zones."""
    with pytest.raises(ValueError, match=r"write|unit"):
        parse_schedule(text)


def test_an_interval_is_due_that_long_after_the_last_call() -> None:
    """Whatever the clock on the wall says."""
    assert Every(timedelta(minutes=15)).due_after(utc("2026-11-23T10:07")) == utc("2026-11-23T10:22")


def test_an_office_hours_cron_is_due_in_office_hours_only() -> None:
    """After the last run of a Friday comes Monday morning, on the clocks of Berlin."""
    office = Cron("*/15 8-17 * * 1-5", "Europe/Berlin")
    assert office.due_after(utc("2026-11-20T16:45:20")) == berlin("2026-11-23T08:00")
    assert office.due_after(berlin("2026-11-23T08:00:20")) == berlin("2026-11-23T08:15")


def test_a_call_a_moment_early_is_the_one_that_is_due() -> None:
    """The caller's clock may be a little ahead; a call well before is another one."""
    nine = Cron("0 9 * * *")
    assert nine.due_after(utc("2026-11-23T08:59:58")) == utc("2026-11-24T09:00")
    assert nine.due_after(utc("2026-11-23T08:58")) == utc("2026-11-23T09:00")


def test_a_daily_run_moves_with_the_clocks() -> None:
    """On both sides of a change it is nine o'clock in Berlin: 23 and 25 hours apart."""
    nine = Cron("0 9 * * *", "Europe/Berlin")
    assert nine.due_after(berlin("2026-03-28T09:00:05")) == utc("2026-03-29T07:00")
    assert nine.due_after(berlin("2026-10-24T09:00:05")) == utc("2026-10-25T08:00")


@pytest.mark.parametrize(
    ("expression", "last", "due"),
    [
        # There is no half past two on the one Sunday, and there are two on the other.
        ("30 2 * * *", berlin("2026-03-28T02:30:05"), berlin("2026-03-30T02:30")),
        ("30 2 * * *", berlin("2026-10-24T02:30:05"), berlin("2026-10-26T02:30")),
        ("*/15 * * * *", berlin("2026-03-29T01:45:05"), berlin("2026-03-29T03:00")),
        ("*/15 * * * *", berlin("2026-10-25T02:20", fold=0), berlin("2026-10-25T03:00")),
        ("*/15 * * * *", berlin("2026-10-25T02:20", fold=1), berlin("2026-10-25T03:00")),
    ],
)
def test_nothing_is_due_in_an_hour_in_which_the_clocks_change(expression: str, last: datetime, due: datetime) -> None:
    """Schedulers differ in what they do then, and none of them may be called silent for it."""
    assert Cron(expression, "Europe/Berlin").due_after(last) == due


@settings(max_examples=60)
@given(
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    expression=st.sampled_from(["*/15 * * * *", "30 2 * * *", "0 9 * * 1-5", "0 0 1 * *", "7 */6 * * 0"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_a_due_time_lies_ahead_and_a_call_at_it_moves_it_on(moment: datetime, expression: str, zone: str) -> None:
    """In any zone at any time of the year; nothing that is due lies between a call and its due time."""
    cron = Cron(expression, zone)
    due = cron.due_after(moment)
    assert due is not None
    assert due > moment + EARLY - timedelta(seconds=1)
    following = cron.due_after(due)
    assert following is not None
    assert following > due
    assert cron.due_after(moment + (due - EARLY - moment) / 2) == due

"""Durations and ratios are exact and survive being printed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.quantities import format_duration, format_ratio, parse_duration, parse_ratio


@given(st.integers(min_value=0, max_value=10**10))
def test_a_duration_survives_being_printed(milliseconds):
    """To the millisecond."""
    value = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(value)) == value


@given(st.decimals(min_value=0, max_value=1000, places=4))
def test_a_ratio_survives_being_printed(ratio):
    """In plain digits."""
    assert parse_ratio(format_ratio(ratio)) == ratio
    assert "E" not in format_ratio(ratio)


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5s ago", "1.5h"])
def test_what_is_no_duration_is_refused(text):
    """With an example of how to write one."""
    with pytest.raises(ValueError, match="write a whole number with a unit"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["2", "%", "two%", "NaN%", "-1%"])
def test_what_is_no_ratio_is_refused(text):
    """Also what a decimal would accept."""
    with pytest.raises(ValueError, match=r"percentage|zero or more"):
        parse_ratio(text)


def test_thirty_percent_is_exactly_three_tenths():
    """A float would be a little less."""
    assert parse_ratio("30%") == Decimal("0.3")

"""Durations (`5s`, `1h30m`), ratios (`2%`), sizes (`1GiB`) and money (`20 USD`), parsed exactly and printed alike."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation

_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(?:(?P<n>\d+)(?P<u>ms|[smhdw]))")

_DOLLARS = re.compile(r"(?P<n>\d{1,12}(?:\.\d{1,6})?)\s*USD")
_SIZE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_SIZE = re.compile(r"(?P<n>\d{1,9})\s*(?P<u>B|KiB|MiB|GiB|TiB)")


def parse_duration(text: str) -> timedelta:
    """The duration written as Prometheus writes it, e.g. `5s` or `1h30m`; ValueError says how to mend it."""
    compact = text.strip()
    if not compact or _DURATION.sub("", compact):
        raise ValueError(f"{text!r} is not a duration; write a whole number with a unit, e.g. 5s, 10m, 1h30m, 7d")
    return timedelta(milliseconds=sum(int(m["n"]) * _UNIT_MS[m["u"]] for m in _DURATION.finditer(compact)))


def format_duration(value: timedelta) -> str:
    """The shortest Prometheus spelling of a duration, e.g. `1h30m`; `0s` for none."""
    rest = round(value.total_seconds() * 1000)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _UNIT_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_ratio(text: str) -> Decimal:
    """`2%` as Decimal("0.02"), without a float in between; ValueError says how to mend it."""
    compact = text.strip()
    if not compact.endswith("%"):
        raise ValueError(f"{text!r} is not a percentage; write it with a percent sign, e.g. 2%")
    try:
        value = Decimal(compact[:-1].strip())
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is not a percentage; write a number and a percent sign, e.g. 2%") from error
    if not value.is_finite() or value < 0:
        raise ValueError(f"{text!r} must be zero or more")
    return value / 100


def format_ratio(value: Decimal) -> str:
    """`0.02` as `2%`, in plain digits."""
    return f"{(value * 100).normalize():f}%"


class Dollars(Decimal):
    """An amount of US dollars, which prints as one."""


def parse_dollars(text: str) -> Dollars:
    """`20 USD` without a float in between; ValueError says how to mend it."""
    found = _DOLLARS.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not an amount of money; write a number and its currency, e.g. 20 USD")
    return Dollars(found["n"])


def format_dollars(value: Decimal) -> str:
    """`Dollars(20)` as `20 USD`, in plain digits."""
    return f"{Decimal(value).normalize():f} USD"


def parse_size(text: str) -> int:
    """`1GiB` in bytes; ValueError says how to mend it."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a size; write a whole number with a unit, e.g. 512MiB, 1GiB")
    return int(found["n"]) << 10 * _SIZE_UNITS.index(found["u"])


def format_size(value: int) -> str:
    """The bytes in the largest unit that needs no fraction, e.g. `1GiB`; `0B` for none."""
    unit = 0
    while value and value % 1024 == 0 and unit + 1 < len(_SIZE_UNITS):
        value, unit = value // 1024, unit + 1
    return f"{value}{_SIZE_UNITS[unit]}"

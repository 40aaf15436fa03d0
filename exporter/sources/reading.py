"""How foreign JSON is read: what is missing or of another type is nothing, never an error. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]

MAX_NAME = 63
# What is larger is no count and no time in milliseconds, and the ledger could not store it.
_MOST = 10**15
_NUMBER = re.compile(r"\d{1,16}(\.\d{1,9})?", re.ASCII)


def mapping(value: object) -> Json:
    """The value if it is an object, else an empty one."""
    # A parsed object is a dict; asking whether it is any Mapping would take several times as long as the rest.
    return value if isinstance(value, dict) else {}


def listing(value: object) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def number(value: object) -> float | None:
    """A number from 0 to 10^15, also when it is written as text; None for anything else, infinity and NaN included."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    # JSON has no subclass of a number, but in Python a truth value is one.
    if type(value) is not int and type(value) is not float:
        return None
    return float(value) if 0 <= value <= _MOST else None


def moment(text: object) -> datetime | None:
    """An ISO time stamp as an aware time; None for what is none, and for 1970, which stands for never."""
    if not isinstance(text, str) or not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return aware if aware.year > 2000 else None


def slug(name: str) -> str:
    """The name as an agent's name: lower-case letters, digits, '.', '_' and '-', at most 63 of them."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:MAX_NAME].rstrip("-._")

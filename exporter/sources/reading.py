"""How foreign JSON is read: what is missing or of another type is nothing, never an error. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]

MAX_NAME = 63


def mapping(value: object) -> Json:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def listing(value: object) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


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

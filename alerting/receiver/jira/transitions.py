"""Which transition leads where: by the configured id or name, else by the category of its status.

Names of statuses and transitions are translated and renamed; the categories `new`, `indeterminate` and `done` are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alerting.receiver.jira.fields import by_name
from alerting.receiver.ticket_port import Refused

Row = Mapping[str, Any]


def category_of(status: object) -> str:
    """The key of a status' category; empty when there is none."""
    category = status.get("statusCategory") if isinstance(status, Mapping) else None
    return str(category.get("key", "")) if isinstance(category, Mapping) else ""


def candidates(rows: Sequence[Row], wanted: str | None, *, done: bool) -> list[Row]:
    """The transitions that lead into done, or out of it: the configured one first, then those with fewest demands."""
    fitting = [row for row in rows if (category_of(row.get("to")) == "done") is done]
    if wanted is not None:
        named = [row for row in rows if wanted.casefold() in (str(row.get("id")), str(row.get("name")).casefold())]
        fitting = named + [row for row in fitting if row not in named]
    return fitting


def body_of(rows: Sequence[Row], resolution: str | None) -> dict[str, Any] | None:
    """The request for the first transition whose screen can be filled in; None when there is no transition.

    Refused names what the screens ask for.
    """
    demands: list[str] = []
    for row in rows:
        fields = row.get("fields") or {}
        filled = {"resolution": by_name(resolution)} if resolution and "resolution" in fields else {}
        missing = [name for name, field in fields.items() if _is_demanded(field) and name not in filled]
        if not missing:
            return {"transition": {"id": str(row["id"])}} | ({"fields": filled} if filled else {})
        demands.append(f'"{row.get("name")}" asks for {", ".join(sorted(missing))}')
    if not demands:
        return None
    mend = "set tickets.jira.resolution" if "resolution" in demands[0] else "choose tickets.jira.close_transition"
    raise Refused(f"every transition there has a screen that must be filled in: {'; '.join(demands)}; {mend}")


def _is_demanded(field: object) -> bool:
    return isinstance(field, Mapping) and bool(field.get("required")) and not field.get("hasDefaultValue")

"""One execution as n8n's list shows it: only what is needed, whatever else the answer held. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.sources.n8n_execution import TERMINAL

Row = dict[str, Any]

UNFINISHED = ("running", "waiting", "new")
KNOWN_STATUSES = TERMINAL | frozenset(UNFINISHED)

_KEPT = ("id", "mode", "status", "startedAt", "stoppedAt", "workflowId", "attempts")
# An id is a 64-bit number in n8n's database, so it has at most 19 digits.
_MAX_DIGITS = 19


def row_of(value: object) -> Row | None:
    """The row; None when it has no id. A workflow or a status that is null is one that is not known."""
    if not isinstance(value, Mapping):
        return None
    number = value.get("id")
    if isinstance(number, int) and not isinstance(number, bool):
        number = str(number)
    if not isinstance(number, str) or not number.isascii() or not number.isdigit() or len(number) > _MAX_DIGITS:
        return None
    workflow, status = value.get("workflowId"), value.get("status")
    if not isinstance(workflow, str | None) or not isinstance(status, str | None):
        return None
    kept = {name: value[name] for name in _KEPT if name in value}
    return kept | {"id": number, "workflowId": workflow or "", "status": status or "null"}


def has_ended(row: Mapping[str, Any]) -> bool:
    """Whether nothing more will happen to the execution; a waiting one has a stoppedAt and has not ended.

    A status that is not known has not: counted too early would be counted wrong, and what stays open is seen.
    """
    return row["status"] in TERMINAL


def is_test_run(row: Mapping[str, Any]) -> bool:
    """Whether somebody tried something out in the editor."""
    return row.get("mode") == "manual"

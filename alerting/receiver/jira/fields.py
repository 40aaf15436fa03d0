"""The fields of a new ticket, from the team's settings, and what Jira wants in them. Values only, no I/O.

Labels, priority, assignee, components and the team's own fields are set at creation and never again: they belong to
people afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from alerting.receiver.ticket_port import Draft
from handrail.ticket_settings import Jira

# What a ticket can do without. The team's own fields are too, unless Jira requires them.
OPTIONAL = frozenset({"labels", "priority", "assignee", "components"})
LISTED = 10


@dataclass(frozen=True, slots=True)
class Required:
    """A field without which Jira creates no ticket here; `allowed` are its values, where they are a list."""

    id: str
    name: str
    allowed: tuple[str, ...]

    def missing_text(self) -> str:
        """What to write into the file."""
        values = ", ".join(self.allowed[:LISTED]) + (", …" if len(self.allowed) > LISTED else "")
        choice = f" to one of: {values}" if values else ""
        return f'Jira requires "{self.name}"; set tickets.jira.fields.{self.id}{choice}'


def fields_of(draft: Draft, settings: Jira, description: object) -> dict[str, Any]:
    """The fields of the ticket; what is not configured is left out."""
    found: dict[str, Any] = {
        "project": {"key": settings.project},
        "issuetype": {"name": settings.issue_type},
        "summary": draft.summary,
        "description": description,
        "labels": list(dict.fromkeys((*draft.labels, *settings.labels, draft.identity.label))),
    }
    if priority := settings.priority.get(draft.severity or ""):
        found["priority"] = by_name(priority)
    if assignee := assignee_of(draft, settings):
        found["assignee"] = {"accountId" if settings.deployment == "cloud" else "name": assignee}
    if settings.components:
        found["components"] = [by_name(name) for name in settings.components]
    return found | settings.fields


def assignee_of(draft: Draft, settings: Jira) -> str | None:
    """Who gets the ticket: by the agent, else by its owner, else `default`."""
    names = (draft.agent, draft.owner, "default")
    return next((settings.assignee[name] for name in names if name and name in settings.assignee), None)


def by_name(value: str) -> dict[str, str]:
    """A value of a list: digits are its id, everything else is its name."""
    return {"id": value} if value.isdigit() else {"name": value}


def to_drop(refused: Iterable[str], sent: Mapping[str, Any], settings: Jira) -> set[str]:
    """The refused fields that a ticket can do without; empty when one of them it cannot do without."""
    names = set(refused)
    droppable = {name for name in names if name in sent and (name in OPTIONAL or name in settings.fields)}
    return droppable if droppable == names else set()


def required_of(metadata: object, settings: Jira) -> list[Required]:
    """The required fields that nothing fills, from an answer of createmeta. What cannot be read is left out."""
    rows = metadata if isinstance(metadata, list) else []
    filled = {"project", "issuetype", "summary", "description", "labels", "reporter", *settings.fields}
    filled |= {"components"} if settings.components else set()
    filled |= {"assignee"} if "default" in settings.assignee else set()
    filled |= {"priority"} if {"critical", "warning"} <= settings.priority.keys() else set()
    found = []
    for row in rows:
        if not isinstance(row, dict) or not row.get("required") or row.get("hasDefaultValue"):
            continue
        name = str(row.get("fieldId") or row.get("key"))
        if name not in filled:
            found.append(Required(name, str(row.get("name") or name), _allowed(row.get("allowedValues"))))
    return found


def _allowed(values: object) -> tuple[str, ...]:
    rows = values if isinstance(values, list) else []
    named = (row.get("value") or row.get("name") or row.get("id") for row in rows if isinstance(row, dict))
    return tuple(str(value) for value in named if value)

"""The workflow of the simulated Jira: which transitions there are, where they lead and what their screens ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drill.simulators.jira_model import SITE, Issue, error
from drill.simulators.wire import Response

_CATEGORIES = {
    "new": (2, "blue-gray", "To Do"),
    "indeterminate": (4, "yellow", "In Progress"),
    "done": (3, "green", "Done"),
}
RESOLUTIONS = ("Done", "Won't Do", "Won't Fix", "Duplicate", "Cannot Reproduce")


@dataclass
class Transition:
    """A transition to `status` of a category; `screen` are its fields, True for one that must be filled in."""

    id: str
    name: str
    status: str
    category: str
    screen: dict[str, bool] = field(default_factory=dict)


def default_workflow() -> list[Transition]:
    """Every status is reached from every other, and no screen asks anything."""
    return [
        Transition("11", "To Do", "To Do", "new"),
        Transition("21", "In Progress", "In Progress", "indeterminate"),
        Transition("31", "Done", "Done", "done"),
    ]


def category_name(key: str) -> str:
    """What the category is called here; it is translated, its key is not."""
    return _CATEGORIES[key][2]


def status_bean(name: str, category: str) -> dict[str, Any]:
    """A status as Jira shows it."""
    number, colour, text = _CATEGORIES[category]
    return {
        "self": f"{SITE}/rest/api/3/status/{number}",
        "description": "",
        "iconUrl": f"{SITE}/",
        "name": name,
        "id": f"1000{number}",
        "statusCategory": {
            "self": f"{SITE}/rest/api/3/statuscategory/{number}",
            "id": number,
            "key": category,
            "colorName": colour,
            "name": text,
        },
    }


def transition_bean(each: Transition, *, with_fields: bool) -> dict[str, Any]:
    """A transition as Jira lists it."""
    flags = {"isGlobal": True, "isInitial": False, "isConditional": False}
    bean = {"id": each.id, "name": each.name, "hasScreen": bool(each.screen)} | flags
    bean["to"] = status_bean(each.status, each.category)
    if with_fields:
        bean["fields"] = {name: _field_bean(name, required=each.screen[name]) for name in each.screen}
    return bean


def _field_bean(name: str, *, required: bool) -> dict[str, Any]:
    return {
        "required": required,
        "schema": {"type": "resolution" if name == "resolution" else "string"},
        "name": name.capitalize(),
        "key": name,
        "operations": ["set"],
        "hasDefaultValue": False,
    }


def apply(issue: Issue, workflow: list[Transition], body: dict[str, Any]) -> Response:
    """Do the transition that the request asks for, or refuse it as Jira does."""
    wanted = str((body.get("transition") or {}).get("id"))
    found = next((each for each in workflow if each.id == wanted), None)
    if found is None:
        return error(400, f"It is not possible to perform the transition with the id {wanted} on this issue.")
    if body.get("update"):
        return error(400, "update is not simulated on a transition")
    fields = body.get("fields") or {}
    off = "Field '{}' cannot be set. It is not on the appropriate screen, or unknown."
    problems = {name: off.format(name) for name in fields if name not in found.screen}
    problems |= {
        name: f"{name.capitalize()} is required."
        for name, required in found.screen.items()
        if required and name not in fields
    }
    resolution = (fields.get("resolution") or {}).get("name")
    if "resolution" in fields and resolution not in RESOLUTIONS:
        problems.setdefault("resolution", f"Resolution name '{resolution}' is not valid")
    if problems:
        return error(400, **problems)
    issue.status, issue.status_category = found.status, found.category
    issue.resolution = (resolution or "Done") if found.category == "done" else None
    return Response(204)

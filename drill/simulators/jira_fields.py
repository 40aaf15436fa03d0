"""Which fields the simulated project has on its screen, which of them it requires, and what may stand in them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from drill.simulators.jira_content import content_problem, labels_problem, summary_problem
from drill.simulators.jira_model import SITE

ISSUE_TYPES = ("Task", "Bug", "Story", "Incident")
PRIORITIES = ("Highest", "High", "Medium", "Low", "Lowest")
PROPERTY_LIMIT = 32_768
KEY_LIMIT = 255
_ON_SCREEN = (
    "project",
    "issuetype",
    "summary",
    "description",
    "labels",
    "priority",
    "assignee",
    "components",
    "duedate",
)
_ALWAYS_REQUIRED = ("project", "issuetype", "summary")


@dataclass
class CustomField:
    """A field of the project's own: `allowed` are its options, none for free text."""

    name: str
    required: bool = False
    allowed: tuple[str, ...] = ()


@dataclass
class Fields:
    """The create screen. Remove a name from `screen` to have it refused; what is in `custom` is on it too."""

    project: str
    screen: set[str] = field(default_factory=lambda: set(_ON_SCREEN))
    custom: dict[str, CustomField] = field(default_factory=dict)
    components: tuple[str, ...] = ("Automations",)
    assignable: tuple[str, ...] = ("5b10a2844c20165700ede21g", "support-lead")

    def problems(self, fields: dict[str, Any], *, cloud: bool, creating: bool) -> dict[str, str]:
        """What Jira says against these fields, by field."""
        off = "Field '{}' cannot be set. It is not on the appropriate screen, or unknown."
        found: dict[str, str | None] = {
            name: off.format(name) for name in fields if name not in self.screen and name not in self.custom
        }
        if creating:
            found |= self._place(fields)
            found |= {
                name: f"{each.name} is required."
                for name, each in self.custom.items()
                if each.required and not fields.get(name)
            }
        if "summary" in fields or creating:
            found["summary"] = summary_problem(fields.get("summary"))
        if fields.get("description") is not None:
            found["description"] = content_problem(fields["description"], document=cloud)
        if "labels" in fields and "labels" in self.screen:
            found["labels"] = labels_problem(fields["labels"])
        for name in fields.keys() & self.screen:
            if name in ("priority", "assignee", "components"):
                found[name] = self._value_problem(name, fields[name], cloud=cloud)
        for name, each in self.custom.items():
            if name in fields and each.allowed and _option(fields[name]) not in each.allowed:
                found[name] = f"Option value '{_option(fields[name])}' is not valid"
        return {name: text for name, text in found.items() if text}

    def _place(self, fields: dict[str, Any]) -> dict[str, str | None]:
        project, kind = fields.get("project") or {}, fields.get("issuetype") or {}
        found: dict[str, str | None] = {}
        if self.project not in (project.get("key"), project.get("id")):
            found["project"] = "valid project is required"
        if kind.get("name") not in ISSUE_TYPES and kind.get("id") not in [str(n) for n in range(len(ISSUE_TYPES))]:
            found["issuetype"] = "Specify a valid issue type"
        return found

    def _value_problem(self, name: str, value: Any, *, cloud: bool) -> str | None:
        if name == "priority" and (value or {}).get("name") not in PRIORITIES:
            return "The priority selected is invalid."
        if name == "assignee":
            person = (value or {}).get("accountId" if cloud else "name")
            return None if person in self.assignable else f"User '{person}' cannot be assigned issues."
        if name == "components":
            unknown = [row.get("name") for row in value if row.get("name") not in self.components]
            return f"Component name '{unknown[0]}' is not valid" if unknown else None
        return None

    def beans(self) -> list[dict[str, Any]]:
        """The fields as createmeta lists them."""
        rows = [_bean(name, name.capitalize(), required=name in _ALWAYS_REQUIRED) for name in sorted(self.screen)]
        for name, each in self.custom.items():
            row = _bean(name, each.name, required=each.required)
            if each.allowed:
                options = [
                    {"self": f"{SITE}/rest/api/3/customFieldOption/{n}", "value": value, "id": str(n)}
                    for n, value in enumerate(each.allowed)
                ]
                row |= {"allowedValues": options, "schema": {"type": "option", "custom": "select", "customId": 1}}
            rows.append(row)
        return rows


def _bean(name: str, title: str, *, required: bool) -> dict[str, Any]:
    return {
        "required": required,
        "schema": {"type": "string", "system": name},
        "name": title,
        "key": name,
        "fieldId": name,
        "hasDefaultValue": name == "priority",
        "operations": ["set"],
    }


def _option(value: Any) -> Any:
    return value.get("value") if isinstance(value, dict) else value


def properties_problem(rows: Any) -> str | None:
    """Why Jira would refuse these entity properties."""
    for row in rows or []:
        if not isinstance(row, dict) or not isinstance(row.get("key"), str) or "value" not in row:
            return "A property has a key and a value."
        if len(row["key"]) > KEY_LIMIT or len(json.dumps(row["value"])) > PROPERTY_LIMIT:
            return "The property's key or value is too long."
    return None

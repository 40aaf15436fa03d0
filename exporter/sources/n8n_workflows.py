"""A workflow as n8n's list shows it: is it live, in which version, what of it is saved, when does it run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from exporter.sources.n8n_plan import plan_of, timezone_of
from exporter.sources.n8n_runs import is_ai_root
from exporter.sources.n8n_schedule import schedule_interval
from exporter.sources.reading import listing, mapping
from handrail.schedule import Schedule

Saved = Literal["success", "error"]
# What n8n calls the settings; "none" is the one value that hides. Anything else saves, or leaves it to the instance.
_SAVING: Mapping[Saved, str] = {"success": "saveDataSuccessExecution", "error": "saveDataErrorExecution"}
SAVED: tuple[Saved, ...] = ("success", "error")


@dataclass(frozen=True, slots=True)
class Workflow:
    """One row of n8n's list of workflows.

    `version` is the one that is live, None where none is or n8n knows no versions (before 2). `hidden` are outcomes
    whose executions n8n deletes when they end. `schedule_interval_s` is the longest silence that the live version
    plans, `plan` when it is to run; None and empty while nothing is live or planned.
    """

    id: str
    name: str
    published: bool
    archived: bool
    has_ai_root: bool
    version: str | None = None
    hidden: frozenset[Saved] = frozenset()
    schedule_interval_s: int | None = None
    plan: tuple[Schedule, ...] = ()

    @property
    def live(self) -> bool:
        """Whether it can be called."""
        return self.published and not self.archived


def workflow_of(row: Mapping[str, Any], timezone: str | None = None) -> Workflow | None:
    """A row as a value; None when it is not a workflow. `timezone` holds for workflows that are set to none."""
    key, name, settings = row.get("id"), row.get("name"), mapping(row.get("settings"))
    if not isinstance(key, str) or not isinstance(name, str):
        return None
    published, version = row.get("active") is True, row.get("activeVersionId")
    # What is being drafted says nothing about what runs.
    nodes = listing(mapping(row.get("activeVersion")).get("nodes")) or listing(row.get("nodes"))
    return Workflow(
        id=key,
        name=name,
        published=published,
        archived=row.get("isArchived") is True,
        has_ai_root=any(is_ai_root(str(mapping(node).get("type", ""))) for node in nodes),
        version=version if published and isinstance(version, str) else None,
        hidden=frozenset(outcome for outcome, setting in _SAVING.items() if settings.get(setting) == "none"),
        schedule_interval_s=schedule_interval(nodes) if published else None,
        plan=plan_of(nodes, timezone_of(settings, timezone)) if published else (),
    )

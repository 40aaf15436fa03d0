"""What the simulated n8n remembers: workflows with their versions, and executions. Each can write itself as JSON."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from drill.simulators.n8n_nodes import make_nodes

# Publication goes through an outbox: the webhook follows this much later than the answer of (un)publish.
PUBLICATION_LAG_S = 0.15
# How long a waiting execution would still wait.
WAIT = timedelta(hours=1)
_PROJECT = "6dToBec8rGXRyzhM"
_SPACE = uuid.UUID("2a9a5d5c-9d8d-4d38-9d67-1a4f9a8a3b11")
_OWNER = str(uuid.uuid5(_SPACE, "owner"))


def stamp(moment: datetime | None) -> str | None:
    """A time as n8n writes it."""
    if moment is None:
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def new_id(number: int) -> str:
    """A workflow id: 16 letters and digits that mean nothing."""
    digest = int.from_bytes(hashlib.sha256(f"workflow {number}".encode()).digest()[:12])
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "".join(alphabet[digest // 62**place % 62] for place in range(16))


@dataclass
class Workflow:
    """A workflow: its newest draft is `version_id`, what is live is `active_version_id`; None while unpublished."""

    id: str
    name: str
    path: str
    ai: bool
    confidence: bool
    created: datetime
    updated: datetime
    version_id: str = ""
    active_version_id: str | None = None
    archived: bool = False
    retry: bool = False
    schedule: list[dict[str, Any]] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, datetime] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    _served_before: bool = False
    _switched_at: float = float("-inf")

    @property
    def active(self) -> bool:
        """Is it published?"""
        return self.active_version_id is not None

    def new_version(self, now: datetime) -> None:
        """Save another draft; what is live stays."""
        self.version_id = str(uuid.uuid5(_SPACE, f"{self.id}/{len(self.versions)}"))
        self.versions[self.version_id] = now
        self.updated = now

    def switch(self, version: str | None, *, now: datetime, at: float) -> None:
        """Publish a version, or nothing; the webhook follows a moment later than `at` (monotonic seconds)."""
        if version != self.active_version_id:
            self._served_before, self._switched_at = self.serves(at), at
            event = {"id": len(self.history) + 1, "workflowId": self.id, "userId": _OWNER, "createdAt": stamp(now)}
            version_id = version or self.active_version_id
            changed = {"versionId": version_id, "event": "activated" if version else "deactivated"}
            self.history.append(event | changed)
        self.active_version_id = version

    def serves(self, at: float) -> bool:
        """Does the production webhook take a request at this moment (monotonic seconds)?"""
        return self._served_before if at < self._switched_at + PUBLICATION_LAG_S else self.active

    def parts(self) -> dict[str, Any]:
        """Its nodes, connections and node groups."""
        nodes, connections = make_nodes(
            self.path, ai=self.ai, confidence=self.confidence, retry=self.retry, schedule=self.schedule
        )
        return {"nodes": nodes, "connections": connections, "nodeGroups": []}

    def saves(self, status: str) -> bool:
        """Does n8n keep an execution that ended so?"""
        setting = "saveDataSuccessExecution" if status == "success" else "saveDataErrorExecution"
        return self.settings.get(setting) != "none"

    def snapshot(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The `workflowData` of an execution."""
        return {"id": self.id, "name": self.name} | self.parts() | {"settings": self.shown_settings() | settings}

    def shown_settings(self) -> dict[str, Any]:
        """Its settings as n8n writes them."""
        return self.settings | {"executionOrder": "v1"}

    def row(self) -> dict[str, Any]:
        """A row of the list of workflows."""
        now = stamp(self.created)
        shared = {"role": "workflow:owner", "workflowId": self.id, "projectId": _PROJECT}
        return {
            "id": self.id,
            "name": self.name,
            "active": self.active,
            "activeVersionId": self.active_version_id,
            "createdAt": now,
            "updatedAt": stamp(self.updated),
            "isArchived": self.archived,
            "versionId": self.version_id,
            "triggerCount": 1,
            "settings": self.shown_settings(),
            "staticData": None,
            "pinData": None,
            "meta": None,
            "tags": [],
            "shared": [shared | {"createdAt": now, "updatedAt": now}],
            "activeVersion": self._active_version(),
        } | self.parts()

    def detail(self) -> dict[str, Any]:
        """The workflow read by its id."""
        extra = {"description": None, "versionCounter": len(self.versions), "sourceWorkflowId": None}
        return self.row() | extra

    def switched(self) -> dict[str, Any]:
        """The answer of publish and unpublish."""
        answer = {name: value for name, value in self.detail().items() if name != "tags"}
        if self.active:
            del answer["shared"]
            answer["activeVersion"] |= {"workflowPublishHistory": self.history}
        return answer

    def _active_version(self) -> dict[str, Any] | None:
        if self.active_version_id is None:
            return None
        at = stamp(self.versions[self.active_version_id])
        texts = {"authors": "Simulated Owner", "name": None, "description": None, "autosaved": False}
        head = {"versionId": self.active_version_id, "workflowId": self.id}
        return head | self.parts() | texts | {"createdAt": at, "updatedAt": at}


@dataclass
class Execution:
    """One execution; ids are sequential integers that the API writes as strings.

    One that is not `kept` (not saved, pruned, deleted) is a 404; one that is not `listed` waits in a queue where only
    its id finds it.
    """

    id: int
    workflow: Workflow
    mode: str
    status: str
    created: datetime
    started: datetime | None
    stopped: datetime | None
    data: dict[str, Any]
    version_id: str
    custom_data: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    kept: bool = True
    listed: bool = True

    def row(self) -> dict[str, Any]:
        """A row of the list, without data."""
        return {
            "id": str(self.id),
            "finished": self.status == "success",
            "mode": self.mode,
            "retryOf": None,
            "retrySuccessId": None,
            "status": self.status,
            "startedAt": stamp(self.started),
            "stoppedAt": stamp(self.stopped),
            "workflowId": self.workflow.id,
            "waitTill": stamp(self.stopped + WAIT) if self.status == "waiting" and self.stopped else None,
        }

    def row_with_data(self) -> dict[str, Any]:
        """A row of the list, with everything that happened."""
        return self.row() | {
            "storedAt": "db",
            "jsonSizeBytes": len(json.dumps(self.data)),
            "workflowVersionId": self.version_id,
            "data": self.data,
            "workflowData": self.workflow.snapshot(self.settings),
            "customData": self.custom_data,
        }

    def detail(self, *, include_data: bool) -> dict[str, Any]:
        """The execution read by its id."""
        extra = {"createdAt": stamp(self.created), "deletedAt": None, "tracingContext": None, "deduplicationKey": None}
        full = self.row_with_data() | extra | {"binaryDataSizeBytes": 0, "usedPrivateCredentials": False}
        if include_data:
            return full
        return {name: value for name, value in full.items() if name not in ("data", "workflowData", "customData")}

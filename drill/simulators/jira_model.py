"""What the simulated Jira keeps, and how it words times and errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from drill.simulators.wire import Response, json_response

SITE = "https://example.atlassian.net"


def stamp(moment: datetime) -> str:
    """A time as Jira writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


def error(status: int, *messages: str, **fields: str) -> Response:
    """Jira's error body: general messages, and one message per field."""
    return json_response({"errorMessages": list(messages), "errors": fields}, status)


@dataclass
class Issue:
    """One issue; `description` and the bodies of `comments` are as they were sent (ADF, or wiki text)."""

    id: str
    key: str
    summary: str
    description: Any
    labels: list[str]
    created: datetime
    status: str = "To Do"
    status_category: str = "new"
    resolution: str | None = None
    comments: list[dict[str, Any]] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    remote_links: list[dict[str, Any]] = field(default_factory=list)
    attachments: dict[str, bytes] = field(default_factory=dict)
    links: set[tuple[str, str]] = field(default_factory=set)

    def close(self, resolution: str = "Done") -> None:
        """As a person closes it in the browser."""
        self.status, self.status_category, self.resolution = "Done", "done", resolution

"""Where tickets are opened, what stands in their fields, and how they are closed and opened again."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from handrail.fields import Duration, Model, Name, Url, WithSecrets
from handrail.secret import Secret

# Atlassian's gateway, the only way for scoped tokens and service accounts.
_GATEWAY = re.compile(r"https://api\.atlassian\.com(?:/ex/jira/[0-9a-fA-F-]{36})?(?P<rest>.*)")
# What Handrail fills itself, or what has a setting of its own.
_OURS = frozenset(
    {"project", "issuetype", "summary", "description", "labels", "priority", "components", "assignee", "resolution"}
)


def _label(value: str) -> str:
    if not value or re.search(r"\s", value) or len(value) > 255:
        raise ValueError(f"{value!r} is no label for Jira: no spaces, at most 255 characters")
    return value


def _severities(value: dict[str, str]) -> dict[str, str]:
    if unknown := sorted(value.keys() - {"critical", "warning"}):
        raise ValueError(f"{unknown[0]!r} is no severity that opens tickets; there are: critical, warning")
    return value


Label = Annotated[str, AfterValidator(_label)]
Text = Annotated[str, Field(min_length=1)]


class Jira(WithSecrets):
    """The project tickets are opened in."""

    url: Url
    site: Url | None = None
    project: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]+$")]
    issue_type: str = "Task"
    user: str | None = None
    token: Secret
    deployment: Literal["cloud", "datacenter"] = "cloud"
    labels: tuple[Label, ...] = ()
    priority: Annotated[dict[str, Text], AfterValidator(_severities)] = Field(default_factory=dict)
    components: tuple[Text, ...] = ()
    assignee: dict[Name, Text] = Field(default_factory=dict)
    fields: dict[Text, JsonValue] = Field(default_factory=dict)
    close_transition: Text | None = None
    reopen_transition: Text | None = None
    resolution: Text | None = None
    reopen_within: Duration = timedelta(hours=24)
    wont_fix: tuple[Text, ...] = ("Won't Fix", "Won't Do")
    link_type: Text = "Relates"
    duplicate_link_type: Text = "Duplicate"

    @model_validator(mode="after")
    def _gateway_is_complete(self) -> Self:
        found = _GATEWAY.fullmatch(self.url)
        if found is None:
            return self
        if "/ex/jira/" not in self.url or found["rest"]:
            raise ValueError(
                "url of Atlassian's gateway must be https://api.atlassian.com/ex/jira/{cloudId}; "
                "the cloudId stands in https://YOUR-SITE.atlassian.net/_edge/tenant_info"
            )
        if self.site is None:
            raise ValueError("with Atlassian's gateway as url give site too, the address people open tickets at")
        return self

    @model_validator(mode="after")
    def _fields_are_not_ours(self) -> Self:
        if taken := sorted(self.fields.keys() & _OURS):
            raise ValueError(f"fields.{taken[0]} is filled by Handrail or has a setting of its own; remove it here")
        return self

    def browse(self, key: str) -> str:
        """Where a person opens the ticket."""
        return f"{self.site or self.url}/browse/{key}"


class Tickets(Model):
    """Where tickets are opened; none is allowed."""

    jira: Jira | None = None

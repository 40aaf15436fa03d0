"""What Jira says, read with distrust: its words are redacted and cut, and never taken for anything but words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from alerting.receiver.ticket_port import Refused
from handrail.redact import redact
from handrail.ticket_settings import Jira

LONGEST = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `body` is None when it is no JSON; `empty`: there is none."""

    status: int
    headers: Mapping[str, str]
    body: Any
    empty: bool

    @classmethod
    def of(cls, response: httpx.Response) -> Answer:
        """The answer in an HTTP response that was read."""
        body = None
        if "json" in response.headers.get("content-type", ""):
            try:
                body = response.json()
            except (ValueError, RecursionError):
                body = None
        return cls(response.status_code, response.headers, body, not response.content)

    @property
    def errors(self) -> dict[str, str]:
        """What Jira says of single fields."""
        errors = self.body.get("errors") if isinstance(self.body, dict) else None
        return {str(k): _said(v) for k, v in errors.items()} if isinstance(errors, dict) else {}

    def refusal(self) -> FieldsRefused:
        """This answer as an error that names the fields."""
        return FieldsRefused(f"Jira refused it (HTTP {self.status}): {reason_of(self)}", self.errors)


class FieldsRefused(Refused):
    """Jira refused the request; `fields` says what is wrong with which field, if it is about fields."""

    def __init__(self, text: str, fields: Mapping[str, str]) -> None:
        super().__init__(text)
        self.fields = fields


def reason_of(answer: Answer) -> str:
    """What Jira says is wrong, on one line: general messages, then one per field."""
    body = answer.body if isinstance(answer.body, dict) else {}
    messages = body.get("errorMessages")
    parts = [_said(text) for text in messages] if isinstance(messages, list) else []
    if isinstance(body.get("message"), str):
        parts.append(_said(body["message"]))
    parts += [f"{name}: {text}" for name, text in answer.errors.items()]
    return "; ".join(parts)[:LONGEST] or "no reason given"


def unauthorized_text(answer: Answer, settings: Jira) -> str:
    """What a person has to do about a 401 or 403. Never holds the token, only where it stands."""
    where = settings.token.where
    if answer.status == 403:
        if "CAPTCHA" in answer.headers.get("x-authentication-denied-reason", "").upper():
            return "Jira wants a CAPTCHA from this user (HTTP 403): log in once in a browser, then it goes on"
        return (
            f"Jira lets the user do less than is needed (HTTP 403: {reason_of(answer)}); give it the permissions in "
            f"docs/jira.md for project {settings.project}"
        )
    if settings.deployment == "datacenter":
        return (
            f"Jira refuses the token (HTTP 401{_seraph(answer)}): it is wrong, expired or revoked; make a new personal "
            f"access token and write it to {where}"
        )
    whose = "or not of the user in tickets.jira.user" if settings.user else "and tickets.jira.user is not set"
    text = (
        f"Jira refuses the token (HTTP 401{_seraph(answer)}): it is wrong, expired (after a year at most) {whose}; "
        f"make a new one and write it to {where}"
    )
    if "api.atlassian.com" not in settings.url:
        text += ". A token with scopes works only with tickets.jira.url https://api.atlassian.com/ex/jira/{cloudId}"
    return text


def _seraph(answer: Answer) -> str:
    """Jira's login filter says which part of a login failed, e.g. AUTHENTICATED_FAILED."""
    reason = answer.headers.get("x-seraph-loginreason", "")
    return f", {_said(reason)[:60]}" if reason else ""


def _said(value: object) -> str:
    # Redacted while its lines are whole: a secret that was cut in two is found by nothing.
    return " ".join(redact(str(value)).split())[:LONGEST]

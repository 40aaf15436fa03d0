"""What a ticket about an incident or a hand-off says, from the notification and the team's settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from alerting.receiver import text
from alerting.receiver.payload import Notification
from handrail.redact import Redactor
from handrail.settings import Settings

LISTED = 20


@dataclass(frozen=True, slots=True)
class Report:
    """A ticket to be: one line, a document and labels besides the incident's own."""

    summary: str
    document: text.Document
    labels: tuple[str, ...]

    def dump(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {"summary": self.summary, "document": text.dump(self.document), "labels": list(self.labels)}

    @classmethod
    def restore(cls, values: dict[str, Any]) -> Report:
        """The report that `dump` wrote."""
        return cls(values["summary"], text.restore(values["document"]), tuple(values["labels"]))


@dataclass(frozen=True, slots=True)
class HandoffText:
    """What an agent said when it handed its work to a person; all of it untrusted."""

    agent: str
    reason: str
    task: str
    confidence: float | None
    tool_error: str | None
    prompt: str | None
    response: str | None
    run_id: str | None


class Reporter:
    """Writes reports; everything from outside is redacted and cut on the way in."""

    def __init__(self, settings: Settings, redactor: Redactor) -> None:
        self._settings = settings
        self._redact = redactor

    def incident(self, notification: Notification) -> Report:
        """The ticket for a firing notification."""
        alerts = notification.firing or notification.alerts
        labels, annotations = alerts[0].labels, alerts[0].annotations
        agent, name = notification.agent, notification.alertname
        headline = annotations.get("summary", "")
        return Report(
            summary=text.one_line(" · ".join(filter(None, (name, agent, self._redact(headline))))),
            document=(
                *(text.paragraph(self._numbers(alert.annotations)) for alert in alerts[:LISTED]),
                *([text.paragraph(f"… and {len(alerts) - LISTED} more alerts")] if len(alerts) > LISTED else []),
                text.facts(
                    ("Alert", name),
                    ("Agent", agent),
                    ("Severity", labels.get("severity")),
                    ("SLA", labels.get("sla")),
                    ("Owner", labels.get("owner")),
                    ("Firing since", min(alert.starts_at for alert in alerts).astimezone(UTC).strftime("%F %T UTC")),
                    ("Point of contact", self._contact()),
                ),
                text.links(*self._links(name, agent, alerts[0].generator_url)),
            ),
            labels=_labels(agent),
        )

    def change(self, notification: Notification) -> text.Document:
        """The comment for an incident that still fires, in another state."""
        firing = notification.firing
        return (
            text.paragraph(f"Still firing: {len(firing)} of {len(notification.alerts)} alert(s) of this incident."),
            *(text.paragraph(self._numbers(alert.annotations)) for alert in firing[:LISTED]),
        )

    def handoff(self, handoff: HandoffText) -> Report:
        """The ticket for a hand-off: what to decide, and what the agent said about it."""
        why = _why(handoff)
        quoted = (("Prompt", handoff.prompt), ("Response", handoff.response), ("Tool error", handoff.tool_error))
        return Report(
            summary=text.one_line(f"Hand-off · {handoff.agent} · {why}: {self._redact(handoff.task)}"),
            document=(
                text.paragraph(f"{handoff.agent} handed this to a person: {why}. Please decide how it goes on."),
                text.facts(
                    ("Agent", handoff.agent),
                    ("Reason", why),
                    ("Run", self._redact(handoff.run_id) if handoff.run_id else None),
                    ("Point of contact", self._contact()),
                ),
                text.quote("Task (untrusted text)", self._redact(handoff.task)),
                *(text.quote(f"{name} (untrusted text)", self._redact(said)) for name, said in quoted if said),
                text.links(("Dashboard", f"{self._public}/?agent={handoff.agent}"), self._switch(handoff.agent)),
            ),
            labels=(*_labels(handoff.agent), "handrail-handoff"),
        )

    def _numbers(self, annotations: dict[str, str]) -> str:
        return self._redact(annotations.get("description") or annotations.get("summary") or "no description")

    def _links(self, name: str, agent: str | None, generator_url: str) -> list[tuple[str, str]]:
        query = f"?agent={agent}" if agent else ""
        found = [("Run-book", f"{self._public}/runbook/{name}{query}"), ("Dashboard", f"{self._public}/{query}")]
        if agent:
            found.append(self._switch(agent))
        if generator_url.startswith(("http://", "https://")):
            found.append(("The rule in Prometheus", generator_url))
        return found

    def _switch(self, agent: str) -> tuple[str, str]:
        return "Switch the agent off", f"{self._public}/agents/{agent}/switch"

    @property
    def _public(self) -> str:
        return self._settings.receiver.public_url

    def _contact(self) -> str:
        contact = self._settings.team.contact
        return ", ".join(filter(None, (contact.name, contact.slack, contact.email)))


def _why(handoff: HandoffText) -> str:
    if handoff.reason == "tool_error":
        return "a tool failed"
    return f"self-reported confidence {handoff.confidence:.0%}" if handoff.confidence is not None else "low confidence"


def _labels(agent: str | None) -> tuple[str, ...]:
    return ("handrail", *([f"handrail-agent-{agent}"] if agent else []))


def moment(seconds: float) -> str:
    """Epoch seconds as a person reads them."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%F %T UTC")

"""What a ticket about an incident or a hand-off says, from the notification and the team's settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from alerting.receiver import text
from alerting.receiver.payload import Alert, Labels, Notification
from alerting.receiver.ticket_port import WebLink
from alerting.runbook import runbook_of
from alerting.sentences import limit
from handrail.quantities import format_ratio
from handrail.redact import Redactor
from handrail.settings import Settings

LISTED = 10
FIRST_STEPS = 3


@dataclass(frozen=True, slots=True)
class Report:
    """A ticket to be: one line, its text before and after what is found out when it is written, labels and links.

    `severity`, `agent` and `owner` choose the ticket's priority and assignee.
    """

    summary: str
    document: text.Document
    labels: tuple[str, ...]
    after: text.Document = ()
    links: tuple[WebLink, ...] = ()
    severity: str | None = None
    agent: str | None = None
    owner: str | None = None

    def dump(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "summary": self.summary,
            "document": text.dump(self.document),
            "labels": list(self.labels),
            "after": text.dump(self.after),
            "links": [[link.name, link.title, link.url] for link in self.links],
            "severity": self.severity,
            "agent": self.agent,
            "owner": self.owner,
        }

    @classmethod
    def restore(cls, values: dict[str, Any]) -> Report:
        """The report that `dump` wrote, also that of an older version."""
        return cls(
            values["summary"],
            text.restore(values["document"]),
            tuple(values["labels"]),
            text.restore(values.get("after", ())),
            tuple(WebLink(*link) for link in values.get("links", ())),
            *(values.get(name) for name in ("severity", "agent", "owner")),
        )


@dataclass(frozen=True, slots=True)
class HandoffText:
    """What an agent said when it handed its work to a person; all of it untrusted."""

    agent: str
    reason: str
    task: str
    confidence: Decimal | None = None
    tool_error: str | None = None
    prompt: str | None = None
    response: str | None = None
    run_id: str | None = None
    model: str | None = None
    trace_id: str | None = None
    trace_url: str | None = None
    execution_id: str | None = None
    execution_url: str | None = None
    tools: tuple[tuple[str, str | None], ...] = ()
    steps: tuple[str, ...] = ()
    decision: str | None = None
    customer_impact: str | None = None


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
        headline = self._redact(annotations.get("summary", ""))
        rows = self._links(name, agent, annotations, alerts[0].generator_url)
        return Report(
            summary=text.one_line(" · ".join(filter(None, (name, agent, headline)))),
            document=(
                *self._what_broke(alerts),
                text.facts(
                    ("Since", min(alert.starts_at for alert in alerts).astimezone(UTC).strftime("%F %T UTC")),
                    ("Agent", agent),
                    ("Source", labels.get("source")),
                    ("Severity", labels.get("severity")),
                    ("SLA", self._limit(name, labels)),
                    ("Owner", labels.get("owner")),
                    ("Whom to ask", self._contact()),
                ),
            ),
            labels=_labels(agent),
            after=(*_first_steps(name), text.heading("Links"), text.links(*rows)),
            links=tuple(WebLink(*row) for row in _beside(rows)),
            severity=labels.get("severity"),
            agent=agent,
            owner=labels.get("owner"),
        )

    def change(self, notification: Notification) -> text.Document:
        """The comment for an incident that still fires, in another state."""
        firing = notification.firing
        head = f"Still firing: {len(firing)} of {len(notification.alerts)} alert(s) of this incident."
        return (text.paragraph(head), *self._what_broke(firing))

    def handoff(self, handoff: HandoffText) -> Report:
        """The ticket for a hand-off: what to decide, and what the agent said about it."""
        why, needed = _why(handoff), self._settings.sla_of(handoff.agent).handoff.min_confidence
        limit_ = f", and {format_ratio(needed)} are needed" if why.startswith("self-reported") else ""
        configured = self._settings.agent(handoff.agent)
        owner = configured.owner if configured else None
        rows = [("Dashboard", f"{self._public}/?agent={handoff.agent}"), self._switch(handoff.agent)]
        return Report(
            summary=text.one_line(f"Hand-off · {handoff.agent} · {why}: {self._redact(handoff.task)}"),
            document=(
                text.paragraph(
                    f"{handoff.agent} handed this to a person: {why}{limit_}. Please decide how it goes on."
                ),
                *(
                    text.quote(f"{name} (untrusted text)", self._redact(said))
                    for name, said in _quoted(handoff)
                    if said
                ),
                text.facts(
                    ("Agent", handoff.agent),
                    ("Confidence", _confidence(handoff)),
                    *((name, self._redact(said)) for name, said in _identity(handoff) if said),
                    ("Owner", owner),
                    ("Whom to ask", self._contact()),
                ),
            ),
            labels=(*_labels(handoff.agent), "handrail-handoff"),
            after=(text.heading("Links"), text.links(*rows)),
            links=tuple(WebLink(*row) for row in _beside(rows)),
            agent=handoff.agent,
            owner=owner,
        )

    def _what_broke(self, alerts: Sequence[Alert]) -> Iterator[text.Block]:
        """The numbers first: they say what broke, and by how much."""
        said = list(dict.fromkeys(self._numbers(alert.annotations) for alert in alerts))
        yield from (text.paragraph(line) for line in said[:LISTED])
        if len(said) > LISTED:
            yield text.paragraph(f"… and {len(said) - LISTED} more.")

    def _limit(self, name: str, labels: Labels) -> str | None:
        """What the SLA says about it; by the alert's own label, as Prometheus does."""
        profile = labels.get("sla")
        sla = self._settings.slas.get(profile or "")
        said = limit(name, labels, sla) if sla else None
        return f"{profile}, broken when {said}" if said else profile

    def _numbers(self, annotations: Labels) -> str:
        return self._redact(annotations.get("description") or annotations.get("summary") or "No description.")

    def _links(self, name: str, agent: str | None, annotations: Labels, generator_url: str) -> list[tuple[str, str]]:
        query = f"?agent={agent}" if agent else ""
        dashboard = annotations.get("dashboard_url", "")
        found = [
            ("Run-book", f"{self._public}/runbook/{name}{query}"),
            ("Dashboard", dashboard if _is_url(dashboard) else f"{self._public}/{query}"),
        ]
        if agent:
            found.append(self._switch(agent))
        if _is_url(generator_url):
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


def _first_steps(name: str) -> text.Document:
    """The beginning of the run-book's diagnosis, so that nobody has to look for it at night."""
    found = runbook_of(name)
    lines = re.findall(r"^\d+\. (.+(?:\n {2,}\S.*)*)", found.diagnosis, re.MULTILINE) if found else []
    if not lines:
        return ()
    plain = [re.sub(r"[*`]", "", re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", " ".join(line.split()))) for line in lines]
    return text.heading("First steps, from the run-book"), text.steps(plain[:FIRST_STEPS])


def _beside(rows: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Run-book and dashboard stand beside the ticket too, where Jira lists its links."""
    return ((name.lower().replace("-", ""), name, url) for name, url in rows if name in ("Run-book", "Dashboard"))


def _is_url(value: str) -> bool:
    return value.startswith(("http://", "https://"))


_WHY = {
    "tool_error": "a tool failed",
    "invalid_output": "its answer has not the form that was asked for",
    "max_iterations": "it reached its limit of iterations",
}


def _why(handoff: HandoffText) -> str:
    if handoff.reason in _WHY:
        return _WHY[handoff.reason]
    return (
        f"self-reported confidence {_percent(handoff.confidence)}"
        if handoff.confidence is not None
        else "low confidence"
    )


def _confidence(handoff: HandoffText) -> str | None:
    return None if handoff.confidence is None else f"{_percent(handoff.confidence)}, self-reported by the agent"


def _percent(confidence: Decimal) -> str:
    """Rounded down, so that what is below the minimum does not read like the minimum."""
    return f"{(confidence * 100).quantize(Decimal('0.01'), ROUND_FLOOR).normalize():f}%"


def _identity(handoff: HandoffText) -> tuple[tuple[str, str | None], ...]:
    return (
        ("Customer impact", handoff.customer_impact),
        ("Model", handoff.model),
        ("Run", handoff.run_id),
        ("Execution", " ".join(filter(None, (handoff.execution_id, handoff.execution_url))) or None),
        ("Trace", " ".join(filter(None, (handoff.trace_id, handoff.trace_url))) or None),
    )


def _quoted(handoff: HandoffText) -> tuple[tuple[str, str | None], ...]:
    """What a person needs first comes first."""
    tools = [f"{name}: {'worked' if error is None else error}" for name, error in handoff.tools]
    return (
        ("Decision asked for", handoff.decision),
        ("Task", handoff.task),
        ("Tool error", handoff.tool_error),
        ("Tools called", "\n".join(tools)),
        ("Steps tried", "\n".join(f"{n}. {step}" for n, step in enumerate(handoff.steps, start=1))),
        ("Prompt", handoff.prompt),
        ("Response", handoff.response),
    )


def _labels(agent: str | None) -> tuple[str, ...]:
    return ("handrail", *([f"handrail-agent-{agent}"] if agent else []))


def moment(seconds: float) -> str:
    """Epoch seconds as a person reads them."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%F %T UTC")

"""The ticket system on Jira: what a ticket is there, and the requests that read and change it.

A ticket carries its incident twice: as a label, because only that can be searched, and as an entity property that is
set in the same request that creates it. The property decides: a clone of a ticket has its labels and not its property.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from alerting.receiver.jira import fields
from alerting.receiver.jira.answers import FieldsRefused
from alerting.receiver.jira.client import JiraClient
from alerting.receiver.jira.transitions import body_of, candidates, category_of
from alerting.receiver.markup import Rendered, render
from alerting.receiver.text import Document, paragraph
from alerting.receiver.ticket_port import Created, Draft, Gone, Identity, Refused, Ticket, WebLink
from alerting.receiver.worker import Transient
from handrail.clock import Clock
from handrail.logs import Logger
from handrail.ticket_settings import Jira

PROPERTY, DELIVERY = "handrail", "handrail.delivery"
SCHEMA = 1
COMMENTS_A_PAGE = 50
MAX_TITLE = 255


class JiraTickets:
    """The TicketPort on Jira."""

    def __init__(self, settings: Jira, clock: Clock) -> None:
        self._settings = settings
        self._cloud = settings.deployment == "cloud"
        self._client = JiraClient(settings, clock)
        self._wont_fix = {name.casefold() for name in settings.wont_fix}

    def create(self, draft: Draft) -> Created:
        """Create the ticket; a refused field that a ticket can do without is left out, and the ticket says so."""
        rendered = self._render(draft.document, draft.identity.label)
        wanted = fields.fields_of(draft, self._settings, rendered.body)
        identity = {"schema": SCHEMA, "incident": draft.identity.incident, "episode": draft.identity.episode}
        properties = [{"key": PROPERTY, "value": identity}]
        try:
            return Created(self._post(wanted, properties), rendered.cut)
        except FieldsRefused as error:
            dropped = fields.to_drop(error.fields, wanted, self._settings)
            if not dropped:
                raise Refused(self._explained(error)) from error
            said = "; ".join(f"{name} ({error.fields[name]})" for name in sorted(dropped))
        note = paragraph(f"Opened without what Jira refused: {said}. Mend it under tickets.jira, or on Jira's screen.")
        rendered = self._render((*draft.document, note), draft.identity.label)
        left = {name: value for name, value in wanted.items() if name not in dropped} | {"description": rendered.body}
        try:
            return Created(self._post(left, properties), rendered.cut)
        except FieldsRefused as error:
            raise Refused(self._explained(error)) from error

    def _post(self, wanted: Mapping[str, Any], properties: Sequence[Mapping[str, Any]]) -> str:
        body = {"fields": wanted, "properties": properties}
        return str(self._client.send("POST", "/issue", json=body, ambiguous=True).body["key"])

    def _explained(self, error: FieldsRefused) -> str:
        """The error, with what the project requires."""
        try:
            missing = [each.missing_text() for each in self.required() if each.id in error.fields]
        except (Gone, Refused):
            missing = []
        return "; ".join([str(error), *missing])

    def required(self) -> list[fields.Required]:
        """The fields that this project requires and nothing fills."""
        project, issue_type = self._settings.project, self._settings.issue_type
        types = self._client.get(f"/issue/createmeta/{project}/issuetypes", maxResults=200)
        rows = types.get("issueTypes") or types.get("values") or []
        known = {str(row["name"]): str(row["id"]) for row in rows}
        if issue_type not in known:
            there = ", ".join(sorted(known)) or "none that this user may create"
            raise Refused(f"project {project} has no issue type {issue_type!r}; there are: {there}")
        path = f"/issue/createmeta/{project}/issuetypes/{known[issue_type]}"
        found = self._client.get(path, maxResults=200)
        return fields.required_of(found.get("fields") or found.get("values") or found.get("results"), self._settings)

    def find(self, label: str) -> list[str]:
        """The keys of the tickets that carry the label, oldest first; nobody knows yet whether they are ours."""
        # The label is made of our own prefix, hexadecimal digits and a number, so that nothing of it can be JQL.
        jql = f'project = "{self._settings.project}" AND labels = "{label}" ORDER BY created ASC'
        query = {"jql": jql, "maxResults": 20, "fields": ["created"]}
        found = self._client.send("POST", "/search/jql" if self._cloud else "/search", json=query).body
        return [str(issue["key"]) for issue in found["issues"]]

    def read(self, key: str) -> Ticket:
        """The ticket as it is now; Gone when it was deleted."""
        names = "status,resolution,labels,attachment"
        issue = self._client.get(f"/issue/{key}", fields=names, properties=PROPERTY)
        found = issue["fields"]
        ours = (issue.get("properties") or {}).get(PROPERTY)
        resolution = found.get("resolution") or {}
        return Ticket(
            key=str(issue["key"]),
            number=int(issue["id"]),
            incident=ours.get("incident") if isinstance(ours, dict) and ours.get("schema") == SCHEMA else None,
            done=category_of(found.get("status")) == "done",
            wont_fix=bool({str(resolution.get("name")).casefold(), str(resolution.get("id"))} & self._wont_fix),
            resolution=resolution.get("name"),
            labels=frozenset(found.get("labels") or ()),
            attachments=frozenset(str(row.get("filename")) for row in found.get("attachment") or ()),
        )

    def comment(self, key: str, document: Document, delivery: str) -> bool:
        """Add a comment that carries the delivery as a property, or as a line where Jira takes no property."""
        path, properties = f"/issue/{key}/comment", [{"key": DELIVERY, "value": {"id": delivery}}]
        rendered = self._render(document, delivery)
        try:
            self._client.send("POST", path, json={"body": rendered.body, "properties": properties}, ambiguous=True)
        except FieldsRefused as error:
            if "properties" not in error.fields:
                raise
            rendered = self._render((*document, paragraph(delivery)), delivery)
            self._client.send("POST", path, json={"body": rendered.body}, ambiguous=True)
        return rendered.cut

    def has_comment(self, key: str, delivery: str, *, since: float) -> bool:
        """Newest first, page by page, until one is older than `since`."""
        start = 0
        while True:
            params: dict[str, str | int] = {"orderBy": "-created", "startAt": start, "maxResults": COMMENTS_A_PAGE}
            rows = self._client.get(f"/issue/{key}/comment", **params, expand="properties")["comments"]
            for row in rows:
                if datetime.strptime(row["created"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() < since:
                    return False
                if self._carries(row, delivery):
                    return True
            start += len(rows)
            if len(rows) < COMMENTS_A_PAGE:
                return False

    def _carries(self, row: Mapping[str, Any], delivery: str) -> bool:
        if delivery in str(row.get("body")):
            return True
        if (listed := row.get("properties")) is None:
            # The list shows properties on some deployments only; the comment itself always has them.
            path = f"/comment/{row['id']}/properties/{DELIVERY}"
            answer = self._client.send("GET", path, may=frozenset({404}))
            listed = [answer.body] if answer.status == 200 else []
        return any(each.get("key") == DELIVERY and each.get("value") == {"id": delivery} for each in listed)

    def close(self, key: str, hold: Callable[[], None]) -> bool:
        """Move the ticket to a status of the category done, whatever it is called here; False when it already was."""
        if self.read(key).done:
            return False
        if not self._move(key, self._settings.close_transition, hold, done=True):
            raise Refused(f"ticket {key} has no transition to a status of the category done; close it by hand")
        return True

    def reopen(self, key: str, hold: Callable[[], None]) -> bool:
        """Move the ticket out of done; False when its workflow has no such transition for this user."""
        return not self.read(key).done or self._move(key, self._settings.reopen_transition, hold, done=False)

    def _move(self, key: str, wanted: str | None, hold: Callable[[], None], *, done: bool) -> bool:
        path = f"/issue/{key}/transitions"
        rows = self._client.get(path, expand="transitions.fields")["transitions"]
        try:
            body = body_of(candidates(rows, wanted, done=done), self._settings.resolution if done else None)
        except Refused as error:
            raise Refused(f"ticket {key}: {error}") from error
        if body is not None:
            hold()
            self._client.send("POST", path, json=body)
        return body is not None

    def adopt(self, key: str, identity: Identity) -> None:
        """Add the identity's label; a project whose tickets have no labels is left without."""
        try:
            body = {"update": {"labels": [{"add": identity.label}]}}
            self._client.send("PUT", f"/issue/{key}", json=body)
        except FieldsRefused as error:
            if "labels" not in error.fields:
                raise

    def link(self, key: str, links: Sequence[WebLink]) -> None:
        """Each link once: Jira replaces one with the same globalId. Refused when links are not allowed here."""
        for link in links:
            wanted = {"url": link.url, "title": link.title[:MAX_TITLE]}
            body = {"globalId": f"handrail-{link.name}", "object": wanted}
            answer = self._client.send("POST", f"/issue/{key}/remotelink", json=body, may=frozenset({403}))
            if answer.status == 403:
                raise Refused("Jira takes no link here (HTTP 403): the user may not link issues")

    def relate(self, key: str, other: str, *, duplicate: bool = False) -> bool:
        """Link two tickets, which Jira does once; a kind of link that does not exist is False, and never made."""
        kind = self._settings.duplicate_link_type if duplicate else self._settings.link_type
        body = {"type": fields.by_name(kind), "inwardIssue": {"key": key}, "outwardIssue": {"key": other}}
        answer = self._client.send("POST", "/issueLink", json=body, may=frozenset({400, 403, 404}))
        return 200 <= answer.status < 300

    def attach(self, key: str, name: str, content: str) -> None:
        """Attach a text; Refused when attachments are not allowed here."""
        file = {"file": (name, content.encode(), "text/plain")}
        answer = self._client.send(
            "POST", f"/issue/{key}/attachments", files=file, ambiguous=True, may=frozenset({403, 413})
        )
        if answer.status in (403, 413):
            raise Refused(f"Jira takes no attachment here (HTTP {answer.status})")

    def _render(self, document: Document, name: str) -> Rendered:
        return render(document, cloud=self._cloud, name=name)


def say_missing_fields(tickets: JiraTickets, logger: Logger) -> None:
    """Log what this project requires and nothing fills, before the first ticket is refused for it."""
    try:
        missing = tickets.required()
    except Refused as error:
        logger.error("jira_field_missing", error=str(error))
    except (Gone, Transient) as error:
        # Nothing is known then; a ticket that is refused says it.
        logger.info("jira_fields_unknown", error=str(error))
    else:
        for each in missing:
            logger.error("jira_field_missing", error=each.missing_text())

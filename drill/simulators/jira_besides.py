"""What stands beside an issue of the simulated Jira: web links, links to other issues, attachments."""

from __future__ import annotations

from collections.abc import Callable
from email import message_from_bytes
from typing import Any

from drill.simulators.jira_model import SITE, Issue, error, stamp
from drill.simulators.wire import Request, Response, json_response, text_response
from handrail.clock import Clock


class Besides:
    """`link_types` are the kinds of links there are. What is named in `forbidden` this user may not do."""

    def __init__(
        self,
        clock: Clock,
        found: Callable[[str], Issue],
        new_id: Callable[[], str],
        person: Callable[[], dict[str, Any]],
    ) -> None:
        self._clock = clock
        self._found = found
        self._new_id = new_id
        self._person = person
        self.link_types = {"Relates", "Duplicate", "Blocks"}
        self.forbidden: set[str] = set()

    def remote_links(self, _: Request, key: str) -> Response:
        """The web links."""
        return json_response(self._found(key).remote_links)

    def remote_link(self, request: Request, key: str) -> Response:
        """A new web link, or the one with the same globalId anew."""
        issue, link = self._found(key), request.json
        if "links" in self.forbidden:
            return error(403, "You do not have permission to link issues.")
        if not isinstance(link, dict) or not {"url", "title"} <= set(link.get("object") or {}):
            return error(400, object="'url' and 'title' are required.")
        old = [row for row in issue.remote_links if link.get("globalId") and row.get("globalId") == link["globalId"]]
        number = old[0]["id"] if old else int(self._new_id())
        issue.remote_links = [row for row in issue.remote_links if row not in old] + [link | {"id": number}]
        found = {"id": number, "self": f"{SITE}/rest/api/3/issue/{issue.id}/remotelink/{number}"}
        return json_response(found, 200 if old else 201)

    def issue_link(self, request: Request) -> Response:
        """A link between two issues; the same one again changes nothing."""
        body = request.json if isinstance(request.json, dict) else {}
        kind = (body.get("type") or {}).get("name")
        if "links" in self.forbidden or kind not in self.link_types:
            return error(404, f"No issue link type with name '{kind}' found.")
        one, other = (self._found(body[side]["key"]) for side in ("inwardIssue", "outwardIssue"))
        one.links.add((kind, other.key))
        return Response(201)

    def attach(self, request: Request, key: str) -> Response:
        """Files as multipart/form-data."""
        issue = self._found(key)
        if request.headers.get("x-atlassian-token") != "no-check":
            return text_response("XSRF check failed", 403)
        if "attachments" in self.forbidden:
            return error(403, "You do not have permission to create attachments for this issue.")
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        shown = []
        for part in message_from_bytes(head + request.body).walk():
            if part.get_param("name", header="content-disposition") == "file":
                content, name = part.get_payload(decode=True), str(part.get_filename())
                issue.attachments[name] = content if isinstance(content, bytes) else b""
                shown.append(self.attachment_bean(name, issue.attachments[name]))
        return json_response(shown) if shown else error(400, "no file")

    def attachment_bean(self, name: str, content: bytes) -> dict[str, Any]:
        """An attachment as Jira shows it."""
        about = {"created": stamp(self._clock.now()), "size": len(content), "mimeType": "text/plain"}
        return {"id": self._new_id(), "filename": name, "author": self._person()} | about

"""Comments of the simulated Jira, with their properties and the limit of how many an issue takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drill.simulators.jira_content import content_problem
from drill.simulators.jira_fields import properties_problem
from drill.simulators.jira_model import Issue, error, stamp
from drill.simulators.wire import Request, Response, json_response, text_response
from handrail.clock import Clock


class Comments:
    """`limit`: so many an issue takes. `list_has_properties`: whether the list shows properties if it is asked to.

    `takes_properties` is False for a Jira that refuses them; the answers to the next `lost` comments are a 504.
    """

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
        self.limit = 5000
        self.list_has_properties = True
        self.takes_properties = True
        self.lost = 0

    def add(self, request: Request, key: str, *, cloud: bool) -> Response:
        """A new comment."""
        issue = self._found(key)
        body = request.json if isinstance(request.json, dict) else {}
        if len(issue.comments) >= self.limit:
            return error(413, "The issue has reached the limit of comments.")
        if problem := content_problem(body.get("body"), document=cloud):
            return error(400, comment=problem)
        if body.get("properties") and not self.takes_properties:
            return error(400, properties="Field 'properties' cannot be set.")
        if problem := properties_problem(body.get("properties")):
            return error(400, properties=problem)
        row = {"id": self._new_id(), "body": body["body"], "created": stamp(self._clock.now())}
        row["properties"] = body.get("properties") or []
        issue.comments.append(row)
        if self.lost > 0:
            self.lost -= 1
            return text_response("<html><body>504 Gateway Time-out</body></html>", 504, "text/html")
        return json_response(self._bean(issue, row, properties=True), 201)

    def listed(self, request: Request, key: str) -> Response:
        """A page of them, oldest first unless asked otherwise."""
        issue = self._found(key)
        rows = issue.comments[::-1] if request.query.get("orderBy", "").startswith("-") else issue.comments
        start, limit = int(request.query.get("startAt", 0)), int(request.query.get("maxResults", 100))
        properties = self.list_has_properties and "properties" in request.query.get("expand", "")
        shown = [self._bean(issue, row, properties=properties) for row in rows[start : start + limit]]
        return json_response({"startAt": start, "maxResults": limit, "total": len(rows), "comments": shown})

    def property(self, row: dict[str, Any], name: str) -> Response:
        """One property of a comment."""
        for each in row["properties"]:
            if each["key"] == name:
                return json_response({"key": name, "value": each["value"]})
        return error(404, "The property does not exist.")

    def _bean(self, issue: Issue, row: dict[str, Any], *, properties: bool) -> dict[str, Any]:
        people = {"author": self._person(), "updateAuthor": self._person()}
        shown = {"self": f"https://example.atlassian.net/{issue.id}/comment/{row['id']}", "id": row["id"]} | people
        shown |= {"body": row["body"], "created": row["created"], "updated": row["created"], "jsdPublic": True}
        return shown | ({"properties": row["properties"]} if properties else {})

"""Searching the simulated Jira: the new search of Cloud, which lags behind, and the old one of Data Center."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from drill.simulators.jira_content import Jql, JqlError
from drill.simulators.jira_model import Issue, error
from drill.simulators.jira_workflow import category_name
from drill.simulators.wire import Refused, Request, Response, json_response
from handrail.clock import Clock

Bean = Callable[[Issue, list[str]], dict[str, Any]]


class Search:
    """Finds issues; `lag_s` is how old one must be to be found. `bean` shows an issue with the fields asked for."""

    def __init__(self, clock: Clock, project: str, issues: Callable[[], list[Issue]], bean: Bean) -> None:
        self._clock = clock
        self._project = project
        self._issues = issues
        self._bean = bean
        self.lag_s = 0.0

    def cloud(self, request: Request) -> Response:
        """`/search/jql`: ids alone unless fields are asked for, and no total."""
        query = dict(request.query) if request.method == "GET" else dict(request.json or {})
        known = {"jql", "fields", "maxResults", "nextPageToken", "reconcileIssues", "properties", "expand"}
        if unknown := set(query) - known - {"fieldsByKeys"}:
            return error(400, f"Unrecognized field {sorted(unknown)[0]!r}")
        names = query.get("fields") or ["id"]
        names = names.split(",") if isinstance(names, str) else list(names)
        found = self._matching(str(query.get("jql") or ""), {str(i) for i in query.get("reconcileIssues") or []})
        start, limit = int(query.get("nextPageToken") or 0), int(query.get("maxResults") or 50)
        page = found[start : start + limit]
        beans = [{"id": issue.id} if names == ["id"] else self._bean(issue, names) for issue in page]
        result: dict[str, Any] = {"issues": beans, "isLast": start + limit >= len(found)}
        if not result["isLast"]:
            result["nextPageToken"] = str(start + limit)
        return json_response(result)

    def data_center(self, request: Request) -> Response:
        """`/search`: with a total, and all fields by default."""
        query = dict(request.query) if request.method == "GET" else dict(request.json or {})
        names = query.get("fields") or ["*all"]
        names = names.split(",") if isinstance(names, str) else list(names)
        found = self._matching(str(query.get("jql") or ""), set())
        start, limit = int(query.get("startAt") or 0), int(query.get("maxResults") or 50)
        page = [self._bean(issue, names) for issue in found[start : start + limit]]
        return json_response({"startAt": start, "maxResults": limit, "total": len(found), "issues": page})

    def _matching(self, text: str, reconciled: set[str]) -> list[Issue]:
        try:
            jql = Jql(text)
        except JqlError as problem:
            raise Refused(error(400, str(problem))) from problem
        visible_until = self._clock.now() - timedelta(seconds=self.lag_s)
        known = [issue for issue in self._issues() if issue.created <= visible_until or issue.id in reconciled]
        found = [issue for issue in known if jql.matches(self._facts(issue))]
        return found[::-1] if jql.newest_first else found

    def _facts(self, issue: Issue) -> dict[str, frozenset[str]]:
        category = {issue.status_category, category_name(issue.status_category).lower()}
        key = frozenset({issue.key.lower(), issue.id})
        return {
            "project": frozenset({self._project.lower()}),
            "labels": frozenset(label.lower() for label in issue.labels),
            "status": frozenset({issue.status.lower()}),
            "statuscategory": frozenset(category),
            "key": key,
            "issuekey": key,
        }

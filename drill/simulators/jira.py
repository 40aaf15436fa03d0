"""The simulated Jira: Cloud (REST v3, ADF, basic auth) or Data Center (REST v2, wiki text, bearer token)."""

from __future__ import annotations

import base64
import hmac
import itertools
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from wsgiref.types import StartResponse, WSGIEnvironment

from drill.simulators.jira_content import Jql, JqlError, content_problem, labels_problem, summary_problem
from drill.simulators.wire import Faults, Refused, Request, Response, Router, answer, json_response, text_response
from handrail.clock import Clock

SITE = "https://example.atlassian.net"
# id of the transition, name of the status, key, id and colour of the status category
_WORKFLOW = (
    ("11", "To Do", "new", 2, "blue-gray"),
    ("21", "In Progress", "indeterminate", 4, "yellow"),
    ("31", "Done", "done", 3, "green"),
)
_CATEGORY_NAMES = {"new": "To Do", "indeterminate": "In Progress", "done": "Done"}
ISSUE_TYPES = ("Task", "Bug", "Story", "Incident")
PRIORITIES = ("Highest", "High", "Medium", "Low", "Lowest")


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
    comments: list[dict[str, Any]] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    remote_links: list[dict[str, Any]] = field(default_factory=list)


class JiraSimulator:
    """A WSGI application with issues. It refuses what Jira refuses, so that a bad ticket fails a test.

    `ambiguous` and `search_lag_s` give the two traps of Jira: a create that is stored though its answer is an error,
    and a search that does not yet know the newest issues. Remove a field from `screen` to have it refused.
    """

    def __init__(
        self,
        clock: Clock,
        user: str = "handrail@example.com",
        token: str = "jira-token",  # noqa: S107 - opens only this simulator
        project: str = "OPS",
    ) -> None:
        self._clock = clock
        self._user, self._token, self._project = user, token, project
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._ids = itertools.count(10_000)
        self._ambiguous_left = 0
        self._router = self._routes()
        self.faults = Faults(lambda status: {"errorMessages": [f"simulated HTTP {status}"], "errors": {}})
        self.deployment: Literal["cloud", "datacenter"] = "cloud"
        self.issues: list[Issue] = []
        self.search_lag_s = 0.0
        self.screen = {"project", "issuetype", "summary", "description", "labels", "priority", "assignee", "duedate"}

    def ambiguous(self, count: int = 1) -> None:
        """The next creates are stored, but their answer is a 504."""
        self._ambiguous_left = count

    def issue(self, key: str) -> Issue:
        """The issue of that key or id; KeyError if there is none."""
        for issue in self.issues:
            if key in (issue.key, issue.id):
                return issue
        raise KeyError(key)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return answer(lambda request: self.faults.around(request, self._handle), environ, start_response)

    def _handle(self, request: Request) -> Response:
        version = "3" if self.deployment == "cloud" else "2"
        if not request.path.startswith(f"/rest/api/{version}/"):
            return text_response("<html><body>Not found</body></html>", 404, "text/html")
        if not request.path.endswith("/serverInfo") and not self._authenticated(request):
            return error(401, "Client must be authenticated to access this resource.")
        with self._lock:
            return self._router(request)

    def _authenticated(self, request: Request) -> bool:
        if self.deployment == "datacenter":
            expected = f"Bearer {self._token}"
        else:
            expected = "Basic " + base64.b64encode(f"{self._user}:{self._token}".encode()).decode()
        return hmac.compare_digest(request.headers.get("authorization", "").encode(), expected.encode())

    def _routes(self) -> Router:
        router = Router(error(404, "null for uri"), error(405, "Method Not Allowed"))
        for version in ("3", "2"):
            root, one = f"/rest/api/{version}", f"/rest/api/{version}/issue/{{key}}"
            router.add("POST", f"{root}/issue", self._create)
            router.add("GET", f"{root}/issue/createmeta/{{project}}/issuetypes", self._issue_types)
            router.add("GET", one, self._get)
            router.add("PUT", one, self._edit)
            router.add("GET", f"{one}/transitions", self._transitions)
            router.add("POST", f"{one}/transitions", self._transition)
            router.add("GET", f"{one}/comment", self._comments)
            router.add("POST", f"{one}/comment", self._comment)
            router.add("GET", f"{one}/remotelink", self._remote_links)
            router.add("POST", f"{one}/remotelink", self._remote_link)
            router.add("GET", f"{one}/properties/{{name}}", self._property)
            router.add("PUT", f"{one}/properties/{{name}}", self._set_property)
            router.add("GET", f"{root}/serverInfo", self._server_info)
            router.add("GET", f"{root}/myself", lambda _: json_response(self._person() | {"groups": {"size": 0}}))
            router.add("GET", f"{root}/project/{{project}}", self._project_found)
            router.add("GET", f"{root}/field", lambda _: json_response([]))
            router.add("GET", f"{root}/search", self._search_old)
            router.add("POST", f"{root}/search", self._search_old)
        router.add("POST", "/rest/api/3/search/jql", self._search)
        router.add("GET", "/rest/api/3/search/jql", self._search)
        return router

    def _found(self, key: str) -> Issue:
        try:
            return self.issue(key)
        except KeyError:
            message = "Issue does not exist or you do not have permission to see it."
            raise Refused(error(404, message)) from None

    def _create(self, request: Request) -> Response:
        body = request.json if isinstance(request.json, dict) else {}
        fields = body.get("fields") or {}
        if body.get("update"):
            return error(400, "update is not simulated on create")
        number = next(self._numbers)  # taken before anything is checked: a refused create uses up a number, as in Jira
        if problems := self._problems(fields, creating=True):
            return error(400, **problems)
        issue = Issue(
            id=str(next(self._ids)),
            key=f"{self._project}-{number}",
            summary=fields["summary"],
            description=fields.get("description"),
            labels=list(fields.get("labels") or []),
            created=self._clock.now(),
            fields=dict(fields),
            properties={item["key"]: item["value"] for item in body.get("properties") or []},
        )
        self.issues.append(issue)
        if self._ambiguous_left > 0:
            self._ambiguous_left -= 1
            return text_response("<html><body>504 Gateway Time-out</body></html>", 504, "text/html")
        return json_response({"id": issue.id, "key": issue.key, "self": self._self(issue)}, 201)

    def _problems(self, fields: dict[str, Any], *, creating: bool = False) -> dict[str, str]:
        off = "Field '{}' cannot be set. It is not on the appropriate screen, or unknown."
        found: dict[str, str | None] = {name: off.format(name) for name in fields if name not in self.screen}
        if creating:
            project, kind = fields.get("project") or {}, fields.get("issuetype") or {}
            if self._project not in (project.get("key"), project.get("id")):
                found["project"] = "valid project is required"
            if kind.get("name") not in ISSUE_TYPES and kind.get("id") not in [str(n) for n in range(len(ISSUE_TYPES))]:
                found["issuetype"] = "Specify a valid issue type"
        if "summary" in fields or creating:
            found["summary"] = summary_problem(fields.get("summary"))
        if fields.get("description") is not None:
            found["description"] = content_problem(fields["description"], document=self.deployment == "cloud")
        if "labels" in fields and "labels" in self.screen:
            found["labels"] = labels_problem(fields["labels"])
        if "priority" in fields and (fields["priority"] or {}).get("name") not in PRIORITIES:
            found["priority"] = "The priority selected is invalid."
        return {name: text for name, text in found.items() if text}

    def _get(self, request: Request, key: str) -> Response:
        issue = self._found(key)
        return json_response(self._bean(issue, request.query.get("fields", "*all").split(",")))

    def _edit(self, request: Request, key: str) -> Response:
        issue = self._found(key)
        body = request.json if isinstance(request.json, dict) else {}
        fields, update = body.get("fields") or {}, body.get("update") or {}
        if set(update) - {"labels"}:
            return error(400, f"update of {', '.join(update)} is not simulated")
        labels = list(fields.get("labels", issue.labels))
        for operation in update.get("labels", []):
            labels = list(operation.get("set", labels))
            labels = [label for label in labels if label != operation.get("remove")]
            if "add" in operation and operation["add"] not in labels:
                labels.append(operation["add"])
        if problems := self._problems(fields | {"labels": labels}):
            return error(400, **problems)
        issue.labels = labels
        issue.summary = fields.get("summary", issue.summary)
        issue.description = fields.get("description", issue.description)
        issue.fields |= fields
        return Response(204)

    def _transitions(self, _: Request, key: str) -> Response:
        self._found(key)
        flags = {"hasScreen": False, "isGlobal": True, "isInitial": False, "isConditional": False, "isLooped": False}
        known = [{"id": row[0], "name": row[1], "to": self._status(row[1])} | flags for row in _WORKFLOW]
        return json_response({"expand": "transitions", "transitions": known})

    def _transition(self, request: Request, key: str) -> Response:
        issue = self._found(key)
        body = request.json if isinstance(request.json, dict) else {}
        wanted = str((body.get("transition") or {}).get("id"))
        row = next((row for row in _WORKFLOW if row[0] == wanted), None)
        if row is None:
            return error(400, f"It is not possible to perform the transition with the id {wanted} on this issue.")
        if body.get("fields"):
            return error(400, **{name: f"Field '{name}' cannot be set. It is unknown." for name in body["fields"]})
        if body.get("update"):
            return error(400, "update is not simulated on a transition")
        issue.status, issue.status_category = row[1], row[2]
        return Response(204)

    def _comments(self, request: Request, key: str) -> Response:
        issue = self._found(key)
        rows = issue.comments[::-1] if request.query.get("orderBy", "").startswith("-") else issue.comments
        start, limit = int(request.query.get("startAt", 0)), int(request.query.get("maxResults", 100))
        with_properties = "properties" in request.query.get("expand", "")
        shown = [self._comment_bean(issue, row, properties=with_properties) for row in rows[start : start + limit]]
        page = {"startAt": start, "maxResults": limit, "total": len(rows), "comments": shown}
        return json_response(page)

    def _comment(self, request: Request, key: str) -> Response:
        issue = self._found(key)
        body = request.json if isinstance(request.json, dict) else {}
        if problem := content_problem(body.get("body"), document=self.deployment == "cloud"):
            return error(400, comment=problem)
        row = {"id": str(next(self._ids)), "body": body["body"], "created": stamp(self._clock.now())}
        row["properties"] = body.get("properties") or []
        issue.comments.append(row)
        return json_response(self._comment_bean(issue, row, properties=True), 201)

    def _remote_links(self, _: Request, key: str) -> Response:
        return json_response(self._found(key).remote_links)

    def _remote_link(self, request: Request, key: str) -> Response:
        issue, link = self._found(key), request.json
        if not isinstance(link, dict) or not {"url", "title"} <= set(link.get("object") or {}):
            return error(400, object="'url' and 'title' are required.")
        old = [row for row in issue.remote_links if link.get("globalId") and row.get("globalId") == link["globalId"]]
        number = old[0]["id"] if old else next(self._ids)
        issue.remote_links = [row for row in issue.remote_links if row not in old] + [link | {"id": number}]
        found = {"id": number, "self": f"{self._self(issue)}/remotelink/{number}"}
        return json_response(found, 200 if old else 201)

    def _property(self, _: Request, key: str, name: str) -> Response:
        issue = self._found(key)
        if name not in issue.properties:
            return error(404, "The property does not exist.")
        return json_response({"key": name, "value": issue.properties[name]})

    def _set_property(self, request: Request, key: str, name: str) -> Response:
        issue = self._found(key)
        known = name in issue.properties
        issue.properties[name] = request.json
        return Response(200 if known else 201)

    def _search(self, request: Request) -> Response:
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

    def _search_old(self, request: Request) -> Response:
        if self.deployment == "cloud":
            return error(410, "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API.")
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
        visible_until = self._clock.now() - timedelta(seconds=self.search_lag_s)
        known = [issue for issue in self.issues if issue.created <= visible_until or issue.id in reconciled]
        found = [issue for issue in known if jql.matches(self._facts(issue))]
        return found[::-1] if jql.newest_first else found

    def _facts(self, issue: Issue) -> dict[str, frozenset[str]]:
        category = {issue.status_category, _CATEGORY_NAMES[issue.status_category].lower()}
        key = frozenset({issue.key.lower(), issue.id})
        return {
            "project": frozenset({self._project.lower()}),
            "labels": frozenset(label.lower() for label in issue.labels),
            "status": frozenset({issue.status.lower()}),
            "statuscategory": frozenset(category),
            "key": key,
            "issuekey": key,
        }

    def _self(self, issue: Issue) -> str:
        return f"{SITE}/rest/api/{'3' if self.deployment == 'cloud' else '2'}/issue/{issue.id}"

    def _bean(self, issue: Issue, names: list[str]) -> dict[str, Any]:
        fields = {name: value for name, value in issue.fields.items() if name not in ("project", "issuetype")} | {
            "summary": issue.summary,
            "description": issue.description,
            "labels": issue.labels,
            "status": self._status(issue.status),
            "created": stamp(issue.created),
            "project": {"id": "10000", "key": self._project, "name": self._project},
            "issuetype": {"id": "10001", "name": issue.fields["issuetype"].get("name", "Task"), "subtask": False},
            "resolution": {"name": "Done"} if issue.status_category == "done" else None,
        }
        if not {"*all", "*navigable"} & set(names):
            fields = {name: value for name, value in fields.items() if name in names}
        return {"expand": "", "id": issue.id, "key": issue.key, "self": self._self(issue), "fields": fields}

    def _status(self, name: str) -> dict[str, Any]:
        number, _, key, category, colour = next(row for row in _WORKFLOW if row[1] == name)
        return {
            "self": f"{SITE}/rest/api/3/status/100{number}",
            "description": "",
            "iconUrl": f"{SITE}/",
            "name": name,
            "id": f"100{number}",
            "statusCategory": {
                "self": f"{SITE}/rest/api/3/statuscategory/{category}",
                "id": category,
                "key": key,
                "colorName": colour,
                "name": _CATEGORY_NAMES[key],
            },
        }

    def _person(self) -> dict[str, Any]:
        person = {"self": f"{SITE}/user", "displayName": "Handrail", "active": True, "timeZone": "Etc/UTC"}
        if self.deployment == "datacenter":
            return person | {"name": "handrail", "key": "handrail", "emailAddress": self._user}
        return person | {"accountId": "5b10a2844c20165700ede21g", "accountType": "app", "emailAddress": self._user}

    def _comment_bean(self, issue: Issue, row: dict[str, Any], *, properties: bool) -> dict[str, Any]:
        people = {"author": self._person(), "updateAuthor": self._person()}
        shown = {"self": f"{self._self(issue)}/comment/{row['id']}", "id": row["id"], "body": row["body"]} | people
        shown |= {"created": row["created"], "updated": row["created"], "jsdPublic": True}
        return shown | ({"properties": row["properties"]} if properties and row["properties"] else {})

    def _issue_types(self, _: Request, project: str) -> Response:
        if project != self._project:
            return error(404, f"No project could be found with key '{project}'.")
        rows = [{"id": str(n), "name": name, "subtask": False} for n, name in enumerate(ISSUE_TYPES)]
        return json_response({"startAt": 0, "maxResults": 50, "total": len(rows), "issueTypes": rows})

    def _project_found(self, _: Request, project: str) -> Response:
        if project != self._project:
            return error(404, f"No project could be found with key '{project}'.")
        return json_response({"self": f"{SITE}/project/10000", "id": "10000", "key": project, "name": project})

    def _server_info(self, _: Request) -> Response:
        cloud = self.deployment == "cloud"
        version = "1001.0.0-SNAPSHOT" if cloud else "9.12.4"
        numbers = [int(number) for number in re.findall(r"\d+", version)[:3]]
        kind = "Cloud" if cloud else "Server"
        info = {"baseUrl": SITE, "version": version, "versionNumbers": numbers, "deploymentType": kind}
        return json_response(info | {"buildNumber": 100_000, "serverTitle": "Jira"})

"""The simulated Jira: Cloud (REST v3, ADF, basic auth) or Data Center (REST v2, wiki text, bearer token)."""

from __future__ import annotations

import base64
import hmac
import itertools
import re
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal
from wsgiref.types import StartResponse, WSGIEnvironment

from drill.simulators.jira_besides import Besides
from drill.simulators.jira_comments import Comments
from drill.simulators.jira_fields import ISSUE_TYPES, Fields, properties_problem
from drill.simulators.jira_model import SITE, Issue, error, stamp
from drill.simulators.jira_search import Search
from drill.simulators.jira_workflow import apply, default_workflow, status_bean, transition_bean
from drill.simulators.wire import (
    Dropped,
    Faults,
    Refused,
    Request,
    Response,
    Router,
    answer,
    json_response,
    text_response,
)
from handrail.clock import Clock

Lost = Literal["gateway", "late", "reset", "reset before"]


class JiraSimulator:
    """A WSGI application with issues. It refuses what Jira refuses, so that a bad ticket fails a test.

    `ambiguous` and `search.lag_s` give the two traps of Jira: a create that is stored though its answer is an error,
    and a search that does not yet know the newest issues. `fields` is its screen, `workflow` its transitions.
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
        self._lost: list[Lost] = []
        self._limits: list[tuple[str, dict[str, str]]] = []
        self.faults = Faults(lambda status: {"errorMessages": [f"simulated HTTP {status}"], "errors": {}})
        self.deployment: Literal["cloud", "datacenter"] = "cloud"
        self.issues: list[Issue] = []
        self.fields = Fields(project)
        self.workflow = default_workflow()
        self.near_limit = False
        self.comments = Comments(clock, self._found, self._new_id, self._person)
        self.besides = Besides(clock, self._found, self._new_id, self._person)
        self.search = Search(clock, project, lambda: self.issues, self._bean)
        self._router = self._routes()

    def ambiguous(self, count: int = 1, how: Lost = "gateway") -> None:
        """The next creates are stored, but answered by a 504 (`gateway`), too late, or by a `reset` connection.

        With `reset before` the connection ends before anything is stored.
        """
        self._lost = [how] * count

    def limit(self, *, under: str = "", count: int = 1, **headers: str) -> None:
        """The next requests whose method and path contain `under` are answered 429 with these headers (`_` for `-`)."""
        self._limits += [(under, {name.replace("_", "-"): value for name, value in headers.items()})] * count

    def clone(self, key: str) -> Issue:
        """As a person clones an issue: labels and texts are copied, properties are not."""
        old = self.issue(key)
        new = replace(old, id=self._new_id(), key=f"{self._project}-{next(self._numbers)}", labels=list(old.labels))
        new.properties, new.comments, new.created = {}, [], self._clock.now()
        self.issues.append(new)
        return new

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
            refused = error(401, "Client must be authenticated to access this resource.")
            return Response(401, refused.body, refused.headers | {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"})
        with self._lock:
            if limited := self._limited(request):
                return limited
            return self._with_limits(self._router(request))

    def _limited(self, request: Request) -> Response | None:
        for number, (under, headers) in enumerate(self._limits):
            if under in f"{request.method} {request.path}":
                del self._limits[number]
                body = {"errorMessages": ["Rate limit exceeded."], "errors": {}}
                return json_response(body, 429, headers)
        return None

    def _with_limits(self, response: Response) -> Response:
        """The headers of rate limits that come with every answer."""
        headers = {"X-RateLimit-NearLimit": "true"} if self.near_limit else {}
        if self.deployment == "datacenter":
            headers |= {"retry-after": "0", "X-RateLimit-FillRate": "10", "X-RateLimit-Interval-Seconds": "1"}
        return Response(response.status, response.body, response.headers | headers)

    def _new_id(self) -> str:
        return str(next(self._ids))

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
            router.add("GET", f"{root}/issue/createmeta/{{project}}/issuetypes/{{number}}", self._type_fields)
            router.add("GET", one, self._get)
            router.add("PUT", one, self._edit)
            router.add("GET", f"{one}/transitions", self._transitions)
            router.add("POST", f"{one}/transitions", self._transition)
            router.add("GET", f"{one}/comment", self.comments.listed)
            router.add("POST", f"{one}/comment", self._comment)
            router.add("GET", f"{root}/comment/{{number}}/properties/{{name}}", self._comment_property)
            router.add("GET", f"{one}/remotelink", self.besides.remote_links)
            router.add("POST", f"{one}/remotelink", self.besides.remote_link)
            router.add("POST", f"{one}/attachments", self.besides.attach)
            router.add("POST", f"{root}/issueLink", self.besides.issue_link)
            router.add("GET", f"{one}/properties/{{name}}", self._property)
            router.add("PUT", f"{one}/properties/{{name}}", self._set_property)
            router.add("GET", f"{root}/serverInfo", self._server_info)
            router.add("GET", f"{root}/myself", lambda _: json_response(self._person() | {"groups": {"size": 0}}))
            router.add("GET", f"{root}/project/{{project}}", self._project_found)
            router.add("GET", f"{root}/field", lambda _: json_response([]))
            router.add("GET", f"{root}/search", self._search_old)
            router.add("POST", f"{root}/search", self._search_old)
        router.add("POST", "/rest/api/3/search/jql", self.search.cloud)
        router.add("GET", "/rest/api/3/search/jql", self.search.cloud)
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
        lost = self._lost.pop(0) if self._lost else None
        if lost == "reset before":
            raise Dropped
        number = next(self._numbers)  # taken before anything is checked: a refused create uses up a number, as in Jira
        if problems := self.fields.problems(fields, cloud=self._is_cloud, creating=True):
            return error(400, **problems)
        if problem := properties_problem(body.get("properties")):
            return error(400, properties=problem)
        issue = Issue(
            id=self._new_id(),
            key=f"{self._project}-{number}",
            summary=fields["summary"],
            description=fields.get("description"),
            labels=list(fields.get("labels") or []),
            created=self._clock.now(),
            fields=dict(fields),
            properties={item["key"]: item["value"] for item in body.get("properties") or []},
        )
        self.issues.append(issue)
        if lost == "reset":
            raise Dropped
        if lost is not None:
            return text_response("<html><body>504 Gateway Time-out</body></html>", 504, "text/html")
        return json_response({"id": issue.id, "key": issue.key, "self": self._self(issue)}, 201)

    @property
    def _is_cloud(self) -> bool:
        return self.deployment == "cloud"

    def _get(self, request: Request, key: str) -> Response:
        issue = self._found(key)
        bean = self._bean(issue, request.query.get("fields", "*all").split(","))
        wanted = set(filter(None, request.query.get("properties", "").split(",")))
        shown = {name: value for name, value in issue.properties.items() if name in wanted}
        return json_response(bean | ({"properties": shown} if wanted else {}))

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
        changed = fields | ({"labels": labels} if "labels" in {*fields, *update} else {})
        if problems := self.fields.problems(changed, cloud=self._is_cloud, creating=False):
            return error(400, **problems)
        issue.labels = labels
        issue.summary = fields.get("summary", issue.summary)
        issue.description = fields.get("description", issue.description)
        issue.fields |= fields
        return Response(204)

    def _transitions(self, request: Request, key: str) -> Response:
        self._found(key)
        with_fields = "transitions.fields" in request.query.get("expand", "")
        known = [transition_bean(each, with_fields=with_fields) for each in self.workflow]
        return json_response({"expand": "transitions", "transitions": known})

    def _transition(self, request: Request, key: str) -> Response:
        body = request.json if isinstance(request.json, dict) else {}
        return apply(self._found(key), self.workflow, body)

    def _comment(self, request: Request, key: str) -> Response:
        return self.comments.add(request, key, cloud=self._is_cloud)

    def _comment_property(self, _: Request, number: str, name: str) -> Response:
        rows = [row for issue in self.issues for row in issue.comments if row["id"] == number]
        return self.comments.property(rows[0], name) if rows else error(404, "The comment does not exist.")

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

    def _search_old(self, request: Request) -> Response:
        if self._is_cloud:
            return error(410, "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API.")
        return self.search.data_center(request)

    def _self(self, issue: Issue) -> str:
        return f"{SITE}/rest/api/{'3' if self.deployment == 'cloud' else '2'}/issue/{issue.id}"

    def _bean(self, issue: Issue, names: list[str]) -> dict[str, Any]:
        fields = {name: value for name, value in issue.fields.items() if name not in ("project", "issuetype")} | {
            "summary": issue.summary,
            "description": issue.description,
            "labels": issue.labels,
            "status": status_bean(issue.status, issue.status_category),
            "created": stamp(issue.created),
            "project": {"id": "10000", "key": self._project, "name": self._project},
            "issuetype": {"id": "10001", "name": issue.fields["issuetype"].get("name", "Task"), "subtask": False},
            "resolution": {"name": issue.resolution or "Done"} if issue.status_category == "done" else None,
            "attachment": [self.besides.attachment_bean(*pair) for pair in issue.attachments.items()],
        }
        if not {"*all", "*navigable"} & set(names):
            fields = {name: value for name, value in fields.items() if name in names}
        return {"expand": "", "id": issue.id, "key": issue.key, "self": self._self(issue), "fields": fields}

    def _person(self) -> dict[str, Any]:
        person = {"self": f"{SITE}/user", "displayName": "Handrail", "active": True, "timeZone": "Etc/UTC"}
        if self.deployment == "datacenter":
            return person | {"name": "handrail", "key": "handrail", "emailAddress": self._user}
        return person | {"accountId": "5b10a2844c20165700ede21g", "accountType": "app", "emailAddress": self._user}

    def _issue_types(self, _: Request, project: str) -> Response:
        if project != self._project:
            return error(404, f"No project could be found with key '{project}'.")
        rows = [{"id": str(n), "name": name, "subtask": False} for n, name in enumerate(ISSUE_TYPES)]
        return self._page(rows, "issueTypes")

    def _type_fields(self, _: Request, project: str, number: str) -> Response:
        if project != self._project or number not in [str(n) for n in range(len(ISSUE_TYPES))]:
            return error(404, "No such issue type in this project.")
        return self._page(self.fields.beans(), "fields")

    def _page(self, rows: list[dict[str, Any]], name: str) -> Response:
        page = {"startAt": 0, "maxResults": 50, "total": len(rows)}
        return json_response(page | ({name: rows} if self._is_cloud else {"isLast": True, "values": rows}))

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

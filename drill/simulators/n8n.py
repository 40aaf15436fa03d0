"""The simulated n8n: its public API as version 2.41 speaks it, and its production webhooks."""

from __future__ import annotations

import hmac
import re
import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from drill.simulators.n8n_query import cursor_of, encoded, limit_of, message, moment_of
from drill.simulators.n8n_recordings import STATUS, Outcome, Recording, Spec, stopped_data, unfinished_data
from drill.simulators.n8n_state import Execution, Workflow, new_id
from drill.simulators.wire import Faults, Refused, Request, Response, Router, answer, json_response
from handrail.clock import Clock

STATUSES = ("canceled", "crashed", "error", "new", "running", "success", "unknown", "waiting")
UNFINISHED = ("running", "waiting", "new")
_NO_PERMISSION = "You do not have permission to {} this workflow. Ask the owner to share it with you."
_HINT = "The workflow must be active for a production URL to run successfully."
_SCOPES = (
    "execution:list execution:read execution:stop workflow:activate workflow:deactivate workflow:list workflow:read"
)
_MESSAGES = {401: "Unauthorized", 403: "Forbidden"}
_DEPRECATED = {"Deprecation": "@1784764800"}


class N8nSimulator:
    """A WSGI application with workflows and executions, and the traps of the original.

    The default list leaves out what is running; stopping by hand loses what was done; a time-out looks like a manual
    stop; a failed tool leaves a success; what a workflow is set not to save is gone when it ends; (un)publishing takes
    effect a moment after its answer; publishing without a version publishes the newest draft. Faults hit the public
    API only. `older_api` is n8n 1: no versions, no publish/unpublish. `ahead` is how far its clock is ahead.
    """

    def __init__(self, clock: Clock, api_key: str = "n8n-key") -> None:
        self._clock = clock
        self.api_key = api_key
        self.scopes = _SCOPES.split()
        self._lock = threading.RLock()
        self._router = self._routes()
        self.faults = Faults(
            lambda status: {"message": _MESSAGES.get(status, f"simulated HTTP {status}")}, scope="/api/"
        )
        self.older_api = False
        self.ahead = timedelta(0)
        self.workflows: dict[str, Workflow] = {}
        self.executions: list[Execution] = []

    def _now(self) -> datetime:
        return self._clock.now() + self.ahead

    def add_workflow(
        self,
        name: str,
        *,
        ai: bool = True,
        active: bool = True,
        confidence: bool = False,
        retry: bool = False,
        schedule: list[dict[str, Any]] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> str:
        """A new workflow's id. `confidence` gives it an output parser, so that its answer is an object.

        `retry` has its agent tried again, `schedule` are the rules of a Schedule Trigger, `settings` are n8n's.
        """
        with self._lock:
            now = self._now()
            path = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
            workflow = Workflow(
                new_id(len(self.workflows)), name, path, ai=ai, confidence=confidence, created=now, updated=now
            )
            workflow.retry, workflow.schedule, workflow.settings = retry, schedule, dict(settings or {})
            workflow.new_version(now)
            if active:
                workflow.switch(workflow.version_id, now=now, at=float("-inf"))
            self.workflows[workflow.id] = workflow
            return workflow.id

    def workflow(self, workflow_id: str) -> Workflow:
        """The workflow of that id; KeyError if there is none."""
        return self.workflows[workflow_id]

    def edit(self, workflow_id: str) -> str:
        """Save a new draft, as the editor does; the id of that version. What is published stays."""
        with self._lock:
            self.workflows[workflow_id].new_version(self._now())
            return self.workflows[workflow_id].version_id

    def archive(self, workflow_id: str) -> None:
        """Unpublish and archive it; its executions stay listed."""
        with self._lock:
            workflow, now = self.workflows[workflow_id], self._now()
            workflow.switch(None, now=now, at=self._clock.monotonic())
            workflow.archived = True
            workflow.new_version(now)

    def call(  # noqa: PLR0913 - what can be said about a call, all of it by keyword
        self,
        workflow_id: str,
        *,
        duration_s: float = 1.0,
        outcome: Outcome = "success",
        tokens_in: int | None = None,
        tokens_out: int | None = None,
        estimate: bool = False,
        confidence: float | None = None,
        finished_at: datetime | None = None,
        mode: str = "webhook",
        retries: int = 0,
    ) -> str:
        """A finished execution's id. It ended at `finished_at` (now); without tokens n8n records its own estimate."""
        with self._lock:
            ended = _milliseconds(finished_at or self._now())
            duration = timedelta(milliseconds=round(duration_s * 1000))
            execution = self._begin(workflow_id, mode, ended - duration, "running")
            spec = Spec(outcome, round(duration_s * 1000), tokens_in, tokens_out, estimate, confidence, retries=retries)
            self._end(execution, spec, ended)
            return str(execution.id)

    def start(self, workflow_id: str, *, mode: str = "webhook", status: str = "running") -> str:
        """An unfinished execution's id; it is running, unless `status` says waiting or new (queued)."""
        with self._lock:
            return str(self._begin(workflow_id, mode, _milliseconds(self._now()), status).id)

    def finish(
        self,
        execution_id: str,
        *,
        outcome: Outcome = "success",
        tokens_in: int | None = None,
        tokens_out: int | None = None,
        estimate: bool = False,
        confidence: float | None = None,
    ) -> None:
        """End an unfinished execution now; ValueError if it has ended already."""
        with self._lock:
            execution = self.execution(execution_id)
            if execution.status not in UNFINISHED:
                raise ValueError(f"execution {execution_id} is {execution.status} already")
            now = _milliseconds(self._now())
            execution.started = execution.started or now
            duration = round((now - execution.started) / timedelta(milliseconds=1))
            self._end(execution, Spec(outcome, duration, tokens_in, tokens_out, estimate, confidence), now)

    def execution(self, execution_id: str) -> Execution:
        """The execution of that id; KeyError if there is none."""
        number = int(execution_id)
        if not 1 <= number <= len(self.executions):
            raise KeyError(execution_id)
        return self.executions[number - 1]

    def _begin(self, workflow_id: str, mode: str, at: datetime, status: str) -> Execution:
        workflow = self.workflows[workflow_id]
        execution = Execution(
            id=len(self.executions) + 1,
            workflow=workflow,
            mode=mode,
            status=status,
            created=at,
            started=None if status == "new" else at,
            stopped=at if status == "waiting" else None,
            data=unfinished_data(started=_epoch_ms(at)),
            version_id=workflow.active_version_id or workflow.version_id,
        )
        self.executions.append(execution)
        return execution

    def _end(self, execution: Execution, spec: Spec, ended: datetime) -> None:
        started = execution.started or ended
        workflow = execution.workflow
        url = f"http://127.0.0.1/webhook/{workflow.path}"
        nodes = workflow.parts()["nodes"]
        recording = Recording(spec, nodes=nodes, webhook_url=url, started=_epoch_ms(started))
        execution.data, execution.custom_data = recording.data(), recording.custom_data()
        execution.status = STATUS[spec.outcome]
        execution.kept = workflow.saves(execution.status)
        # After a crash n8n knows only when the last node began, not when the execution died.
        execution.stopped = started + timedelta(milliseconds=6) if spec.outcome == "crashed" else ended
        if spec.outcome == "timeout":
            execution.settings = {"executionTimeout": max(1, spec.duration_ms // 1000)}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return answer(lambda request: self._dated(self.faults.around(request, self._handle)), environ, start_response)

    def _dated(self, response: Response) -> Response:
        return replace(response, headers=response.headers | {"Date": format_datetime(self._now(), usegmt=True)})

    def _handle(self, request: Request) -> Response:
        given = request.headers.get("x-n8n-api-key", "")
        if request.path.startswith("/api/") and not hmac.compare_digest(given.encode(), self.api_key.encode()):
            return message(401, "Unauthorized")
        with self._lock:
            response = self._router(request)
        if response.status == 405:
            return message(405, f"{request.method} method not allowed")
        return response

    def _routes(self) -> Router:
        router = Router(message(404, "not found"), message(405, "method not allowed"))
        executions, workflows = "/api/v1/executions", "/api/v1/workflows"
        router.add("GET", "/healthz", lambda _: json_response({"status": "ok"}))
        router.add("GET", "/healthz/readiness", lambda _: json_response({"status": "ok"}))
        router.add("GET", "/api/v1/discover", lambda _: json_response({"data": {"scopes": self.scopes}}))
        router.add("GET", executions, self._list_executions)
        router.add("POST", f"{executions}/stop", self._stop_many)
        router.add("GET", f"{executions}/{{number}}", self._get_execution)
        router.add("POST", f"{executions}/{{number}}/stop", self._stop)
        router.add("GET", workflows, self._list_workflows)
        router.add("GET", f"{workflows}/{{key}}", self._get_workflow)
        for verb in ("publish", "unpublish", "activate", "deactivate"):
            router.add("POST", f"{workflows}/{{key}}/{verb}", self._switcher(verb))
        router.add("POST", f"{workflows}/{{key}}/archive", self._archive)
        router.add("POST", "/webhook/{path}", self._webhook)
        router.add("GET", "/webhook/{path}", self._webhook)
        return router

    def _list_executions(self, request: Request) -> Response:
        query = request.query
        status = query.get("status")
        if status is not None and status not in STATUSES:
            expected = " | ".join(f"'{name}'" for name in STATUSES)
            text = f"Invalid enum value. Expected {expected}, received '{status}'"
            return message(400, f"request/query/status {text}")
        include_data = query.get("includeData", "false")
        if include_data not in ("true", "false"):
            text = f"Invalid enum value. Expected 'true' | 'false', received '{include_data}'"
            return message(400, f"request/query/includeData {text}")
        cursor = cursor_of(query)
        limit = int(cursor["limit"]) if "lastId" in cursor and "limit" in cursor else limit_of(query)
        last = int(cursor["lastId"]) if "lastId" in cursor else None
        after, before = moment_of(query, "startedAfter"), moment_of(query, "startedBefore")
        found = [
            execution
            for execution in reversed(self.executions)
            if execution.kept
            and execution.listed
            and (execution.status == status if status else execution.status != "running")
            and query.get("workflowId", execution.workflow.id) == execution.workflow.id
            and (last is None or execution.id < last)
            and (after is None or (execution.started is not None and execution.started >= after))
            and (before is None or (execution.started is not None and execution.started <= before))
        ]
        page = found[:limit] if limit else found
        rows = [execution.row_with_data() if include_data == "true" else execution.row() for execution in page]
        following = {"lastId": str(page[-1].id), "limit": limit} if len(found) > len(page) else None
        return json_response({"data": rows, "nextCursor": following and encoded(following)})

    def _get_execution(self, request: Request, number: str) -> Response:
        if not number.isdigit():
            return message(400, "request/params/executionId must be a positive integer")
        try:
            execution = self.execution(number)
        except KeyError:
            return message(404, "Not Found")
        if not execution.kept:
            return message(404, "Not Found")
        return json_response(execution.detail(include_data=request.query.get("includeData") == "true"))

    def _stop(self, _: Request, number: str) -> Response:
        try:
            execution = self.execution(number)
        except KeyError:
            return message(404, "Failed to find execution to stop")
        if execution.status not in UNFINISHED:
            text = f"Only running or waiting executions can be stopped and {number} is currently {execution.status}"
            return message(409, text)
        self._cancel(execution)
        row = execution.row()
        shown = {name: row[name] for name in ("mode", "startedAt", "stoppedAt", "finished", "status")}
        return json_response(shown | {"startedAt": row["startedAt"] or "1970-01-01T00:00:00.000Z"})

    def _stop_many(self, request: Request) -> Response:
        body = request.json if isinstance(request.json, dict) else {}
        if "status" not in body:
            return message(400, "request/body must have required property 'status'")
        wanted = {"new" if status == "queued" else status for status in body["status"]}
        only = body.get("workflowId", "all")
        stopped = [
            execution
            for execution in self.executions
            if execution.status in UNFINISHED and execution.status in wanted and only in ("all", execution.workflow.id)
        ]
        for execution in stopped:
            self._cancel(execution)
        return json_response({"stopped": len(stopped)})

    def _cancel(self, execution: Execution) -> None:
        now = _milliseconds(self._now())
        began = _epoch_ms(execution.started or now)
        execution.status, execution.stopped = "canceled", now
        execution.data = stopped_data(str(execution.id), started=began, stopped=_epoch_ms(now))

    def _list_workflows(self, request: Request) -> Response:
        query = request.query
        cursor = cursor_of(query)
        limit = int(cursor["limit"]) if "offset" in cursor and "limit" in cursor else limit_of(query)
        offset = int(cursor.get("offset", 0))
        found = [
            workflow
            for workflow in sorted(self.workflows.values(), key=lambda workflow: workflow.id)
            if query.get("name", "").lower() in workflow.name.lower()
            and query.get("active", str(workflow.active).lower()) == str(workflow.active).lower()
        ]
        page = found[offset : offset + limit] if limit else found[offset:]
        more = offset + len(page) < len(found)
        following = encoded({"limit": limit, "offset": offset + len(page)}) if more else None
        rows = [self._of_its_age(workflow.row()) for workflow in page]
        return json_response({"data": rows, "nextCursor": following})

    def _get_workflow(self, _: Request, key: str) -> Response:
        if key not in self.workflows:
            return message(404, "Not Found")
        return json_response(self._of_its_age(self.workflows[key].detail()))

    def _of_its_age(self, shown: dict[str, Any]) -> dict[str, Any]:
        newer = ("versionId", "activeVersionId", "activeVersion", "versionCounter", "sourceWorkflowId")
        return {name: value for name, value in shown.items() if not (self.older_api and name in newer)}

    def _switcher(self, verb: str) -> Any:
        on, old = verb in ("publish", "activate"), verb in ("activate", "deactivate")

        def switch(request: Request, key: str) -> Response:
            if self.older_api and not old:
                return message(404, "not found")
            workflow = self.workflows.get(key)
            if workflow is None:
                return message(404, _NO_PERMISSION.format("activate" if on else "deactivate"))
            version = self._version(workflow, request) if on else None
            workflow.switch(version, now=self._now(), at=self._clock.monotonic())
            headers = _DEPRECATED if old and not self.older_api else None
            return json_response(self._of_its_age(workflow.switched()), headers=headers)

        return switch

    def _version(self, workflow: Workflow, request: Request) -> str:
        if workflow.archived:
            raise Refused(message(400, "Cannot activate an archived workflow."))
        body = request.json if isinstance(request.json, dict) and not self.older_api else {}
        version = str(body.get("versionId") or workflow.version_id)
        if version not in workflow.versions:
            raise Refused(message(404, "Version not found"))
        return version

    def _archive(self, _: Request, key: str) -> Response:
        if key not in self.workflows:
            return message(404, "Not Found")
        self.archive(key)
        return json_response(self._of_its_age(self.workflows[key].switched()))

    def _webhook(self, request: Request, path: str) -> Response:
        now = self._clock.monotonic()
        served = [workflow for workflow in self.workflows.values() if workflow.path == path and workflow.serves(now)]
        if not served:
            text = f'The requested webhook "{request.method} {path}" is not registered.'
            return json_response({"code": 404, "message": text, "hint": _HINT}, 404)
        if request.method != "POST":
            text = f"This webhook is not registered for {request.method} requests. Did you mean to make a POST request?"
            return json_response({"code": 404, "message": text}, 404)
        number = self.call(served[-1].id, duration_s=0.4, tokens_in=400, tokens_out=60)
        return json_response({"output": self.execution(number).custom_data.get("response_ai_agent", "done")})


def _milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)

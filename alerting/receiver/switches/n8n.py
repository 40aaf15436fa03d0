"""Unpublishes the agent's workflow in n8n, stops what still runs of it, and publishes the very same version again.

n8n's 200 comes before its effect, running and waiting executions survive an unpublication, and stopping without a
workflow id would stop everything: hence the order of steps in `kills`, and the id in every request here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from alerting.receiver.switches import Work
from alerting.receiver.worker import Permanent, Transient
from handrail.http import HttpClient, NotJson, read_json
from handrail.secret import SecretError

UNFINISHED = ("running", "waiting", "new")


class N8nWorkflow:
    """The switch of an agent that is a workflow in n8n. `workflow` is its id or its exact name.

    The key needs the scopes workflow:list, workflow:read, workflow:activate, workflow:deactivate, execution:list and
    execution:stop.
    """

    settle_s = 1.0

    def __init__(self, connect: Callable[[], HttpClient], workflow: str) -> None:
        self._connect = connect
        self._workflow = workflow

    def remember(self) -> str | None:
        """The version that is live; n8n would otherwise publish the newest draft. None before n8n 2."""
        with self._client() as client:
            return self._find(client).get("activeVersionId")

    def disable(self) -> None:
        """Unpublish."""
        with self._client() as client:
            identifier = self._find(client)["id"]
            self._post_first(client, (f"/workflows/{identifier}/unpublish", f"/workflows/{identifier}/deactivate"), {})

    def enable(self, previous: str | None) -> None:
        """Publish the version that was live."""
        with self._client() as client:
            identifier = self._find(client)["id"]
            body = {"versionId": previous} if previous else {}
            self._post_first(client, (f"/workflows/{identifier}/publish", f"/workflows/{identifier}/activate"), body)

    def enabled(self) -> bool:
        """Is the workflow published?"""
        with self._client() as client:
            return bool(self._find(client)["active"])

    def stop_work(self) -> Work:
        """Stop the workflow's running, waiting and queued executions, one by one where n8n has no request for all."""
        with self._client() as client:
            identifier = str(self._find(client)["id"])
            open_ids = self._unfinished(client, identifier)
            if not open_ids:
                return Work(0, 0)
            body = {"status": ["running", "waiting", "queued"], "workflowId": identifier}
            response = self._send(client, "POST", "/executions/stop", json=body)
            if response.status_code in (404, 405):
                for execution in open_ids:  # 404, 409: it has ended by itself
                    self._send(client, "POST", f"/executions/{execution}/stop")
            elif response.status_code != 200:
                raise self._refused(response)
            return Work(len(open_ids), len(self._unfinished(client, identifier)))

    def activity(self) -> str:
        """The newest execution of the workflow, also one that has only begun."""
        with self._client() as client:
            identifier = str(self._find(client)["id"])
            done = self._list(client, {"workflowId": identifier, "limit": 1})
            newest = max((int(row["id"]) for row in done), default=0)
            return f"execution {max([newest, *map(int, self._unfinished(client, identifier))])}"

    def _unfinished(self, client: HttpClient, identifier: str) -> list[str]:
        return [
            str(row["id"])
            for status in UNFINISHED
            for row in self._list(client, {"workflowId": identifier, "status": status, "limit": 250})
        ]

    def _find(self, client: HttpClient) -> dict[str, Any]:
        response = self._send(client, "GET", f"/workflows/{self._workflow}") if self._workflow.isalnum() else None
        if response is not None and response.status_code == 200:
            return _workflow(self._object(response))
        rows = self._list(client, {"name": self._workflow, "limit": 250}, path="/workflows")
        named = [row for row in rows if row.get("name") == self._workflow and not row.get("isArchived")]
        if len(named) != 1:
            raise Permanent(
                f"n8n has {len(named)} workflows named {self._workflow!r}; name the agent's workflow by its id"
            )
        return _workflow(named[0])

    def _list(self, client: HttpClient, params: dict[str, Any], path: str = "/executions") -> list[dict[str, Any]]:
        response = self._send(client, "GET", path, params=params)
        rows = self._object(response).get("data")
        if not isinstance(rows, list):
            raise Transient(f"n8n answered {path} in an unknown shape")
        return rows

    def _post_first(self, client: HttpClient, paths: tuple[str, ...], body: dict[str, Any]) -> None:
        """POST to the first path this version of n8n knows: publish and unpublish came with n8n 2."""
        for path in paths:
            response = self._send(client, "POST", path, json=body)
            if response.status_code == 200:
                return
            if response.status_code not in (404, 405):
                break
        raise self._refused(response)

    def _object(self, response: httpx.Response) -> dict[str, Any]:
        try:
            value = read_json(response)
        except NotJson as error:
            raise Transient(f"n8n is not ready: {error}") from error
        if response.status_code != 200 or not isinstance(value, dict):
            raise self._refused(response)
        return value

    def _refused(self, response: httpx.Response) -> Exception:
        """HTML means that n8n is down or starting; only JSON is its opinion."""
        status = response.status_code
        if status in (401, 403):
            return Transient(
                f"n8n refuses the key (HTTP {status}); it needs the scopes to stop workflows", retry_after_s=10
            )
        if status >= 500 or status == 429 or "json" not in response.headers.get("content-type", ""):
            return Transient(f"n8n answered HTTP {status}")
        return Permanent(f"n8n refused (HTTP {status})")

    def _send(self, client: HttpClient, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return client.request(method, f"/api/v1{path}", **arguments)
        except httpx.HTTPError as error:
            raise Transient(f"n8n cannot be reached ({type(error).__name__})") from error

    def _client(self) -> HttpClient:
        try:
            return self._connect()
        except SecretError as error:
            raise Transient(f"n8n's key: {error}") from error


def _workflow(row: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(row.get("id"), str) or not isinstance(row.get("active"), bool):
        raise Transient("n8n answered a workflow in an unknown shape")
    return row

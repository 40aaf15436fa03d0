"""n8n's public API as a reader needs it: lists page by page, single executions, workflows. SourceDown when it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from exporter.calls import Call
from exporter.sources import DownReason, SourceDown
from exporter.sources.fetch import Answer, Fetcher, TooLarge
from exporter.sources.n8n_execution import Origin, Unreadable, calls_of
from exporter.sources.n8n_rows import Row, row_of
from exporter.sources.n8n_workflows import Workflow, workflow_of
from handrail.http import HttpClient
from handrail.source_settings import N8nSource as N8nSettings

_EXECUTIONS = "/api/v1/executions"
_WORKFLOWS = "/api/v1/workflows"
_PAGE = 250
_MAX_PAGES = 4000


class N8nApi:
    """One n8n. `on_request` is called with the status of every answer, `none` where none came."""

    def __init__(
        self,
        settings: N8nSettings,
        *,
        now: Callable[[], datetime],
        client: HttpClient,
        on_request: Callable[[str], None],
    ) -> None:
        self._timezone = settings.timezone
        self._fetch = Fetcher(
            client,
            credentials=lambda: {"X-N8N-API-KEY": settings.api_key.read()},
            on_request=on_request,
            now=now,
        )

    @property
    def skew(self) -> timedelta | None:
        """How far n8n's clock is ahead of ours; None when it does not say."""
        return self._fetch.skew

    def executions(self, *, limit: int = _PAGE, **filters: str) -> Iterator[list[Row]]:
        """The list without data, newest first, page by page. Without a status it leaves out what is running."""
        for page in self._pages(_EXECUTIONS, {**filters, "limit": limit}):
            rows = [row_of(found) for found in page]
            if None in rows:
                raise SourceDown("wrong_shape", f"not an execution in the list of {_EXECUTIONS}")
            yield [row for row in rows if row]

    def execution(self, number: int, *, with_data: bool = False) -> Row | None:
        """One execution; None when n8n itself says that there is none."""
        path = f"{_EXECUTIONS}/{number}"
        answer = self._get(path, {"includeData": "true"} if with_data else {})
        if answer.status == 404:
            if not isinstance(answer.body, Mapping) or "message" not in answer.body:
                raise SourceDown("wrong_shape", f"a 404 that n8n did not write on {path}")
            return None
        row = row_of(answer.body)
        if row is None or not isinstance(answer.body, dict):
            raise SourceDown("wrong_shape", f"not an execution on {path}")
        if int(row["id"]) != number:
            raise SourceDown("wrong_id", f"another execution on {path}")
        return answer.body | row if with_data else row

    def calls_of(self, row: Row, origin: Origin, *, with_details: bool = True) -> list[Call]:
        """The calls of an execution that ended; of its row alone where it is too large, gone or without sense."""
        if not with_details:
            return calls_of(row, origin)
        try:
            execution = self.execution(int(row["id"]), with_data=True)
        except TooLarge:
            return calls_of(row, origin)
        if execution is None:
            return calls_of(row, origin)
        try:
            return calls_of(execution, origin)
        except Unreadable:
            return calls_of(row, origin)

    def workflows(self) -> list[Workflow]:
        """Every workflow that the key may see."""
        pages = self._pages(_WORKFLOWS, {"limit": _PAGE, "excludePinnedData": "true"})
        workflows = [
            workflow_of(row, self._timezone) if isinstance(row, Mapping) else None for page in pages for row in page
        ]
        if None in workflows:
            raise SourceDown("wrong_shape", f"not a workflow on {_WORKFLOWS}")
        # Pages are cut by number, so that a workflow that moved meanwhile may stand on two of them.
        return list({workflow.id: workflow for workflow in workflows if workflow}.values())

    def _pages(self, path: str, params: Mapping[str, str | int]) -> Iterator[list[Any]]:
        """Page after page of a list; SourceDown when an answer is not a page, or is one that was there before."""
        cursor: str | None = None
        cursors, firsts = set[str](), set[str]()
        for _ in range(_MAX_PAGES):
            answer = self._get(path, {**params, **({"cursor": cursor} if cursor else {})})
            body = answer.body if answer.status == 200 and isinstance(answer.body, Mapping) else {}
            rows, cursor = body.get("data"), body.get("nextCursor")
            if body.get("success") is False:
                raise SourceDown("not_success", f"HTTP {answer.status} without success on {path}")
            if not isinstance(rows, list) or not isinstance(cursor, str | None):
                raise SourceDown("wrong_shape", f"HTTP {answer.status} without a list on {path}")
            first = str(rows[0].get("id")) if rows and isinstance(rows[0], Mapping) else None
            if cursor in cursors or first in firsts:
                raise SourceDown("endless_pages", f"the same page again on {path}")
            yield rows
            if not cursor:
                return
            cursors.add(cursor)
            firsts |= {first} if first else set()
        raise SourceDown("endless_pages", f"pages without end on {path}")

    def _get(self, path: str, params: Mapping[str, str | int]) -> Answer:
        answer = self._fetch.get(path, params, usable=(200, 403, 404))
        if answer.status == 403:
            # "Your license does not allow for feat:..."; a key that lacks a scope is told "Forbidden".
            said = str(answer.body.get("message")) if isinstance(answer.body, Mapping) else ""
            reason: DownReason = "unlicensed" if "license" in said.lower() else "forbidden"
            raise SourceDown(reason, f"HTTP 403 on {path}")
        return answer

"""What is wrong with the dashboards that a Grafana provisioned, in words; nothing when all is as it should be.

Its HTTP API as documented: `GET /api/dashboards/uid/:uid`, and `POST /api/ds/query`, which answers 400 when a query
fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from handrail.http import HttpClient, read_json
from tests.alerting.dashboards.boards import Board, Query, panels, queries

DATA_SOURCE = {"type": "prometheus", "uid": "prometheus"}
# What must be as it was rendered: Grafana adds an id and a version, and must not have had to migrate anything.
KEPT = ("uid", "title", "schemaVersion", "tags", "links")


class SignInRefused(Exception):
    """Grafana does not take the name and the password."""


def complaints_about_boards(client: HttpClient, boards: Iterable[Board]) -> Iterator[str]:
    """Each that is not there, or not as it was rendered."""
    for board in boards:
        status, answer = _answer(client, "GET", f"/api/dashboards/uid/{board['uid']}")
        if status != 200:
            yield f"{board['title']}: HTTP {status}: {answer.get('message', '')}"
            continue
        found = answer["dashboard"]
        yield from (f"{board['title']}: {key} is {found.get(key)!r}" for key in KEPT if found.get(key) != board[key])
        shown, wanted = (
            [(panel["title"], [each["expr"] for each in panel["targets"]]) for panel in panels(each)]
            for each in (found, board)
        )
        if shown != wanted:
            yield f"{board['title']}: its panels or their queries are not those of the file"


def complaints_about_panels(
    client: HttpClient, boards: Iterable[Board], *, now_s: float, may_be_empty: Iterable[str] = ()
) -> Iterator[str]:
    """Each query of a panel that fails, or that gives nothing though it is not among those that may."""
    empty = frozenset(may_be_empty)
    for query in (query for board in boards for query in queries(board)):
        if " / annotation " not in query.where and " / variable " not in query.where:
            status, answer = _answer(client, "POST", "/api/ds/query", _asked(query, now_s))
            result = answer.get("results", {}).get("A", {})
            if status != 200 or result.get("error"):
                yield f"{query.where}: HTTP {status}: {result.get('error') or answer.get('message', '')}"
            elif not _has_values(result) and query.where not in empty:
                yield f"{query.where}: no data"


def _asked(query: Query, now_s: float) -> dict[str, Any]:
    target = {
        "refId": "A",
        "datasource": DATA_SOURCE,
        "expr": query.filled(),
        "instant": query.instant,
        "range": not query.instant,
        "intervalMs": 1000 * query.step_s,
        "maxDataPoints": 1000,
    }
    times = {"from": now_s - query.span_s, "to": now_s}
    return {"queries": [target]} | {name: str(int(1000 * at)) for name, at in times.items()}


def _has_values(result: Mapping[str, Any]) -> bool:
    """A frame of no rows, or of no columns, shows nothing."""
    frames = [frame.get("data", {}).get("values", []) for frame in result.get("frames", [])]
    return any(columns and all(columns) for columns in frames)


def _answer(client: HttpClient, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    response = client.request(method, path, json=body)
    if response.status_code in (401, 403):
        raise SignInRefused(f"{method} {path}: HTTP {response.status_code}")
    found = read_json(response)
    assert isinstance(found, dict)
    return response.status_code, found

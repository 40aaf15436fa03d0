"""The little of Grafana's HTTP API and pages that the checks use, so that they can be seen to find what is wrong."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIEnvironment

from drill.simulators.wire import Request, Response, Router, answer, json_response, text_response

NAME, PASSWORD = "admin", "a-password"
_HTML = "text/html; charset=utf-8"
_SIGNED_IN = "grafana_session=signed-in"
_LOGIN = """<form method="post" action="/login">
<input name="user" data-testid="data-testid Username input field">
<input name="password" type="password" data-testid="data-testid Password input field">
<button data-testid="data-testid Login button">Log in</button></form>"""


class StandIn:
    """Shows `boards` by uid; `broken` is what the queries that contain a text answer: a status, and the result of A.

    On the page of a dashboard, panels in `failed` say that they failed.
    """

    def __init__(self, boards: dict[str, dict[str, Any]], password: str = PASSWORD) -> None:
        self.boards = boards
        self._password = password
        self.broken: dict[str, tuple[int, dict[str, Any]]] = {}
        self.asked: list[dict[str, Any]] = []
        self.failed: set[str] = set()
        self._router = Router(json_response({"message": "Not found"}, 404))
        self._router.add("GET", "/api/health", lambda _: json_response({"database": "ok", "version": "13.2.3"}))
        self._router.add("GET", "/api/dashboards/uid/{uid}", self._board)
        self._router.add("POST", "/api/ds/query", self._query)
        self._pages = Router(text_response("not found", 404))
        self._pages.add("GET", "/login", lambda _: text_response(_LOGIN, content_type=_HTML))
        self._pages.add("POST", "/login", self._sign_in)
        self._pages.add("GET", "/", lambda _: text_response("Welcome", content_type=_HTML))
        self._pages.add("GET", "/d/{uid}", self._page)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return answer(self._handle, environ, start_response)

    def _handle(self, request: Request) -> Response:
        if not request.path.startswith("/api/"):
            return self._pages(request)
        if request.path == "/api/health":
            return self._router(request)
        known = b64encode(f"{NAME}:{self._password}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {known}":
            return json_response({"message": "Invalid username or password"}, 401)
        return self._router(request)

    def _sign_in(self, request: Request) -> Response:
        given = dict(parse_qsl(request.body.decode()))
        if given != {"user": NAME, "password": self._password}:
            return text_response(_LOGIN, 401, content_type=_HTML)
        return Response(302, headers={"Location": "/", "Set-Cookie": f"{_SIGNED_IN}; Path=/"})

    def _page(self, request: Request, uid: str) -> Response:
        if request.headers.get("cookie") != _SIGNED_IN:
            return Response(302, headers={"Location": "/login"})
        panels = self.boards[uid]["panels"] if uid in self.boards else []
        marks = {title: '<b data-testid="data-testid Panel status error">!</b>' for title in self.failed}
        text = "".join(f"<h2>{each['title']}</h2>{marks.get(each['title'], '')}" for each in panels)
        return text_response(text, content_type=_HTML)

    def _board(self, _: Request, uid: str) -> Response:
        if uid not in self.boards:
            return json_response({"message": "Dashboard not found"}, 404)
        return json_response({"dashboard": self.boards[uid] | {"id": 1, "version": 1}, "meta": {"provisioned": True}})

    def _query(self, request: Request) -> Response:
        (query,) = request.json["queries"]
        self.asked.append(request.json)
        result: dict[str, Any] = {"status": 200, "frames": [_frame([1644488152084], [1])]}
        status = 200
        for text, (told, changed) in self.broken.items():
            if text in query["expr"]:
                status, result = told, changed
        return json_response({"results": {query["refId"]: result}}, status)


def _frame(*columns: list[int]) -> dict[str, Any]:
    fields = [{"name": "Time", "type": "time"}, {"name": "Value", "type": "number"}]
    return {"schema": {"refId": "A", "fields": fields}, "data": {"values": list(columns)}}


# A query that Prometheus refused, one that found no series, and one whose series has no values.
REFUSED = (400, {"error": "bad_data: parse error", "status": 400})
NO_FRAMES = (200, {"status": 200, "frames": []})
NO_VALUES = (200, {"status": 200, "frames": [_frame([], [])]})
NO_COLUMNS = (200, {"status": 200, "frames": [{"schema": {"refId": "A", "fields": []}, "data": {"values": []}}]})

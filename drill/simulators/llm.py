"""The simulated model: an OpenAI-compatible chat completion with honest usage numbers."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from drill.simulators.wire import Faults, Request, Response, Router, answer, json_response
from handrail.clock import Clock


def error_body(status: int, text: str | None = None) -> dict[str, Any]:
    """An error as the OpenAI API words it."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": text or f"simulated HTTP {status}", "type": kind, "param": None, "code": None}}


class LlmSimulator:
    """A WSGI application that always says `reply` and uses `tokens` (prompt, completion), unless a fault is set.

    With `tool_call` (a tool's name and its arguments as JSON) it asks for that tool first, and speaks when it has the
    tool's answer; one that `insists` asks again whatever the answer was.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._router = Router(json_response(error_body(404, "Unknown request URL"), 404))
        self._router.add("POST", "/v1/chat/completions", self._complete)
        self._router.add("POST", "/echo", lambda _: json_response({"ok": True}))
        self.faults = Faults(error_body)
        self.reply = "Your order is on its way."
        self.tokens = (220, 40)
        self.tool_call: tuple[str, str] | None = None
        self.insists = False
        self.requests: list[dict[str, Any]] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return answer(lambda request: self.faults.around(request, self._router), environ, start_response)

    def _complete(self, request: Request) -> Response:
        body = request.json
        if not isinstance(body, dict) or not body.get("model") or not isinstance(body.get("messages"), list):
            return json_response(error_body(400, "you must provide a model and messages"), 400)
        prompt, completion = self.tokens
        with self._lock:
            self.requests.append(body)
            number = next(self._numbers)
        message: dict[str, Any] = {"role": "assistant", "content": self.reply, "refusal": None}
        finish = "stop"
        answered = any(said.get("role") == "tool" for said in body["messages"])
        if self.tool_call and (self.insists or not answered):
            name, arguments = self.tool_call
            function = {"name": name, "arguments": arguments}
            calls = [{"id": f"call_{number}", "type": "function", "function": function}]
            message, finish = message | {"content": None, "tool_calls": calls}, "tool_calls"
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        head = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": int(self._clock.now().timestamp())}
        return json_response(head | {"model": body["model"], "choices": [choice], "usage": usage})

"""The simulated Slack: one incoming webhook into one channel, and what an app may ask about that channel."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from drill.simulators.slack_channel import Channel
from drill.simulators.wire import Faults, Request, Response, Router, answer, text_response
from handrail.clock import Clock

WEBHOOK_PATH = "/services/T000/B000/simulated"
MOST_ATTACHMENTS = 100


class SlackSimulator:
    """A WSGI application that keeps every message it took: the payload as it was sent, with `received_at`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.channel = Channel(clock)
        self._router = Router(text_response("no_service", 404))
        self._router.add("POST", WEBHOOK_PATH, self._post)
        self._router.add("GET", "/api/conversations.history", self.channel.history)
        self._router.add("GET", "/api/chat.getPermalink", self.channel.permalink)
        self.faults = Faults(lambda status: {"ok": False, "error": f"simulated HTTP {status}"})
        self.messages: list[dict[str, Any]] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return answer(lambda request: self.faults.around(request, self._router), environ, start_response)

    def _post(self, request: Request) -> Response:
        payload = request.json
        if not isinstance(payload, dict):
            return text_response("invalid_payload", 400)
        if not any(payload.get(name) for name in ("text", "attachments", "blocks")):
            return text_response("no_text", 400)
        if len(payload.get("attachments") or ()) > MOST_ATTACHMENTS:
            return text_response("too_many_attachments", 400)
        with self._lock:
            self.messages.append(payload | {"received_at": self._clock.now().isoformat()})
            self.channel.add(payload)
        return text_response("ok")

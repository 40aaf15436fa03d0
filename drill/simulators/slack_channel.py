"""The simulated Slack's channel as an app with a bot token reads it: history by pages, permalinks, refusals.

Sources: Slack's reference of conversations.history and chat.getPermalink (arguments, errors, newest first, a default of
100 and at most 999 of a page), its page on rate limits (429 with Retry-After, counted by method), and the recorded
answers in its own SDK for Java (names in attachments and their actions).
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from datetime import timedelta
from math import ceil
from typing import Any

from drill.simulators.wire import Request, Response, json_response
from handrail.clock import Clock

BOT_TOKEN, CHANNEL_ID = "xoxb-simulated", "C0SIMULATED"
MOST_A_PAGE = 999
_COLORS = {"good": "2eb886", "warning": "daa038", "danger": "a30200"}

Json = dict[str, Any]


class Channel:
    """Its messages, and what this app may do: `scopes`, `member`, a token that was `revoked`.

    `page` is the most that one answer holds, and `site` where its permalinks lead. `asked` counts what was answered,
    by method.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._messages: list[Json] = []
        self._limited_until = clock.now()
        self.scopes = {"channels:history"}
        self.member = True
        self.revoked = False
        self.page = MOST_A_PAGE
        # What a 429 says in place of the seconds that are left.
        self.retry_after: str | None = None
        self.site = "https://simulated.slack.com"
        self.asked: dict[str, int] = {}

    def add(self, payload: Mapping[str, Any]) -> str:
        """A message came through the webhook; its time stamp."""
        with self._lock:
            micros = int(self._clock.now().timestamp() * 1_000_000)
            if self._messages:
                # No two messages of a channel have the same.
                micros = max(micros, _micros(self._messages[-1]["ts"]) + 1)
            message = _shown(payload) | {"ts": f"{micros // 1_000_000}.{micros % 1_000_000:06d}"}
            self._messages.append(message)
        return str(message["ts"])

    def limit(self, seconds: float) -> None:
        """Take no more requests for so long."""
        self._limited_until = self._clock.now() + timedelta(seconds=seconds)

    def history(self, request: Request) -> Response:
        """conversations.history."""
        if refusal := self._refusal(request, "conversations.history", scope="channels:history"):
            return refusal
        query = request.query
        cursor = _read_cursor(query.get("cursor", ""))
        oldest, latest = _micros(query.get("oldest", "0")), _micros(query.get("latest", "9999999999"))
        limit = min(int(query.get("limit", 100)), self.page, MOST_A_PAGE)
        with self._lock:
            # Both ends are left out unless `inclusive` is asked for.
            fitting = [each for each in reversed(self._messages) if oldest < _micros(each["ts"]) < latest]
        left = [each for each in fitting if cursor is None or _micros(each["ts"]) < cursor]
        shown, more = left[:limit], len(left) > limit
        body: Json = {"ok": True, "messages": shown, "has_more": more, "pin_count": 0}
        if more:
            body["response_metadata"] = {"next_cursor": _cursor(shown[-1]["ts"])}
        return json_response(body)

    def permalink(self, request: Request) -> Response:
        """chat.getPermalink, which needs no scope."""
        if refusal := self._refusal(request, "chat.getPermalink"):
            return refusal
        ts = request.query.get("message_ts", "")
        with self._lock:
            known = any(each["ts"] == ts for each in self._messages)
        if not known:
            return _error("message_not_found")
        link = f"{self.site}/archives/{CHANNEL_ID}/p{ts.replace('.', '')}"
        return json_response({"ok": True, "channel": CHANNEL_ID, "permalink": link})

    def _refusal(self, request: Request, method: str, scope: str | None = None) -> Response | None:
        left = (self._limited_until - self._clock.now()).total_seconds()
        if left > 0:
            return json_response(
                {"ok": False, "error": "ratelimited"}, 429, {"Retry-After": self.retry_after or str(ceil(left))}
            )
        self.asked[method] = self.asked.get(method, 0) + 1
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token:
            return _error("not_authed")
        if token != BOT_TOKEN or self.revoked:
            return _error("token_revoked" if token == BOT_TOKEN else "invalid_auth")
        if scope and scope not in self.scopes:
            return _error("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))
        if request.query.get("channel") != CHANNEL_ID:
            return _error("channel_not_found")
        return None if self.member else _error("not_in_channel")


def _shown(payload: Mapping[str, Any]) -> Json:
    """A webhook's message as it is read back: numbered parts, colors as numbers, texts that were not given empty."""
    attachments = [_attachment(number, each) for number, each in enumerate(payload.get("attachments") or (), start=1)]
    return {
        "type": "message",
        "subtype": "bot_message",
        "text": payload.get("text", ""),
        "username": payload.get("username", "incoming-webhook"),
        "bot_id": "B0SIMULATED",
        **({"attachments": attachments} if attachments else {}),
    }


def _attachment(number: int, given: Mapping[str, Any]) -> Json:
    actions = [
        {"id": str(place), "name": "", "value": "", "style": "", **each}
        for place, each in enumerate(given.get("actions") or (), start=1)
    ]
    color = given.get("color", "")
    return {**given, "id": number, "color": _COLORS.get(color, color.removeprefix("#")), "actions": actions}


def _error(code: str, **more: str) -> Response:
    """A refusal, which Slack gives with HTTP 200."""
    return json_response({"ok": False, "error": code, **more})


def _micros(ts: str) -> int:
    seconds, _, rest = ts.partition(".")
    return int(seconds or 0) * 1_000_000 + int(rest.ljust(6, "0")[:6])


def _cursor(ts: str) -> str:
    return base64.b64encode(f"next_ts:{_micros(ts)}".encode()).decode()


def _read_cursor(text: str) -> int | None:
    return int(base64.b64decode(text).decode().removeprefix("next_ts:")) if text else None

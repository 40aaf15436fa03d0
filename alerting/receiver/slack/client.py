"""The two questions to Slack's Web API, whose every failure comes out as Trouble that says how to mend it.

Slack answers HTTP 200 also when it refuses; `ok` and `error` say so. Only 429 is a status of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from handrail.clock import Clock
from handrail.http import NotJson, build_client, read_json
from handrail.notify_settings import Slack
from handrail.secret import SecretError

TIMEOUT_S = 10.0
MAX_ANSWER = 8 * 1024 * 1024
# Slack recommends no more. An app that is distributed outside of Slack's marketplace gets 15, and once a minute.
PAGE = 200
# When Slack limits the rate and does not say for how long.
LIMITED_S = 60.0
LONGEST_S = 3600.0
_LONGEST_CURSOR = 500

_TOKEN = frozenset({"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"})
_CHANNEL = frozenset({"not_in_channel", "channel_not_found"})
_OWN_FAILURES = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})


class Trouble(Exception):
    """It did not work; the text says why and what to do. `wait_s`: Slack only wants to be asked later."""

    def __init__(self, text: str, *, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages of a channel, newest first, as they came; `cursor` leads to older ones, if there are any."""

    messages: tuple[object, ...]
    cursor: str | None


class SlackClient:
    """Asks about one channel. The token is read each time, so that a rotated one is used at once."""

    def __init__(self, slack: Slack, clock: Clock) -> None:
        self._slack = slack
        self._clock = clock
        self._http = build_client(base_url=slack.api_url, timeout_s=TIMEOUT_S, max_bytes=MAX_ANSWER)
        self._held_until = 0.0

    def history(self, *, oldest: float, latest: float | None, cursor: str | None) -> Page:
        """A page of the channel's messages after `oldest` and before `latest` (epoch seconds)."""
        params = {"oldest": f"{oldest:.6f}", "limit": str(PAGE)}
        if latest is not None:
            params["latest"] = f"{latest:.6f}"
        if cursor is not None:
            params["cursor"] = cursor
        answer = self._ask("conversations.history", params)
        messages, metadata = answer.get("messages"), answer.get("response_metadata")
        if not isinstance(messages, list):
            raise Trouble("Slack's answer holds no messages")
        following = metadata.get("next_cursor") if isinstance(metadata, dict) else None
        known = isinstance(following, str) and 0 < len(following) <= _LONGEST_CURSOR and following != cursor
        return Page(tuple(messages), str(following) if known else None)

    def permalink(self, ts: str) -> object:
        """What Slack says is the address of the message; nobody has looked at it yet."""
        return self._ask("chat.getPermalink", {"message_ts": ts}).get("permalink")

    def _ask(self, method: str, params: Mapping[str, str]) -> Mapping[str, object]:
        if (left := self._held_until - self._clock.monotonic()) > 0:
            raise Trouble("Slack limits the rate", wait_s=left)
        headers = {"Authorization": f"Bearer {self._token()}"}
        try:
            response = self._http.get(
                f"/{method}", params={"channel": self._slack.channel_id or "", **params}, headers=headers
            )
        except httpx.HTTPError as error:
            raise Trouble(f"Slack cannot be asked ({type(error).__name__})") from error
        if response.status_code == 429:
            raise self._limited(response.headers.get("retry-after", ""))
        if response.status_code != 200:
            raise Trouble(f"Slack answered HTTP {response.status_code}; api_url must be the address of its API itself")
        try:
            answer = read_json(response)
        except NotJson as error:
            raise Trouble(f"what answers is not Slack's API ({error})") from error
        if not isinstance(answer, dict):
            raise Trouble("what answers is not Slack's API")
        if answer.get("ok") is not True:
            raise self._refused(answer)
        return answer

    def _token(self) -> str:
        try:
            token = self._slack.bot_token.read() if self._slack.bot_token else ""
        except SecretError as error:
            raise Trouble(f"Slack's token: {error}") from error
        # What is no header would be quoted in the error of whoever has to send it.
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise Trouble(f"Slack's token: {self._where} holds more than one token, or none")
        return token

    @property
    def _where(self) -> str:
        return self._slack.bot_token.where if self._slack.bot_token else "bot_token_file"

    def _limited(self, retry_after: str) -> Trouble:
        told = retry_after.strip()
        # A second at least: 0 would be asked again and again.
        seconds = min(max(float(told), 1.0), LONGEST_S) if told.isascii() and told.isdecimal() else LIMITED_S
        self._held_until = self._clock.monotonic() + seconds
        return Trouble("Slack limits the rate", wait_s=seconds)

    def _refused(self, answer: Mapping[str, object]) -> Trouble:
        code = _word(answer.get("error"), r"[a-z_]{1,60}") or "without a reason"
        if code == "ratelimited":
            return self._limited("")
        if code in _TOKEN:
            return Trouble(
                f"Slack refuses the token ({code}): it is wrong, was revoked, or its app was removed; "
                f"write the app's Bot User OAuth Token to {self._where}"
            )
        if code in _CHANNEL:
            return Trouble(
                f"the app is not in channel {self._slack.channel_id} ({code}): invite it there, "
                "or mend channel_id beside its token"
            )
        if code == "missing_scope":
            needed = _word(answer.get("needed"), r"[a-z:._, ]{1,120}") or "channels:history"
            return Trouble(
                f"the token lacks a scope (missing_scope, Slack asks for {needed}): under OAuth & Permissions give the "
                "app channels:history for a public channel, groups:history for a private one, and install it again"
            )
        if code in _OWN_FAILURES:
            return Trouble(f"Slack has a failure of its own ({code})")
        return Trouble(f"Slack refuses to be asked ({code})")


def _word(value: object, pattern: str) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else None

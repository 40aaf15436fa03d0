"""One request to Jira, whose failure comes out as the outbox understands it; nothing is ever sent twice from here.

A client library that repeats a creation after a lost connection opens a second ticket. Repeating is the outbox's
business, which first looks for what it may have created.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from alerting.receiver.jira.answers import Answer, reason_of, unauthorized_text
from alerting.receiver.jira.limits import LIMITED, NEAR_LIMIT_S, Pause, is_near, pause_of
from alerting.receiver.ticket_port import Ambiguous, Full, Gone
from alerting.receiver.worker import Transient
from handrail.clock import Clock
from handrail.http import build_client
from handrail.secret import SecretError
from handrail.ticket_settings import Jira

TIMEOUT_S = 20.0
MAX_ANSWER = 8 * 1024 * 1024
# A refused token is refused for every item alike; it is asked again when somebody may have renewed it.
UNAUTHORIZED_S = 60.0


class JiraClient:
    """Sends requests as the configured user. The token is read each time, so that a rotated one is used at once."""

    def __init__(self, settings: Jira, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        # One for all requests: each with its own would read the system's certificates and greet Jira anew.
        self._http = build_client(base_url=settings.url, timeout_s=TIMEOUT_S, max_bytes=MAX_ANSWER)
        self._root = f"/rest/api/{'3' if settings.deployment == 'cloud' else '2'}"
        self._held: dict[str, tuple[float, str]] = {}
        self._near_limit = False

    def get(self, path: str, **params: str | int) -> Any:
        """The body of an answer to a question, which has no effect and may be asked again."""
        return self.send("GET", path, params=params).body

    def send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str | int] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        ambiguous: bool = False,
        may: frozenset[int] = frozenset(),
    ) -> Answer:
        """The answer to a request, if it is a success or its status is in `may`.

        With `ambiguous` a lost answer is Ambiguous, else Transient: for a request that may be repeated.
        """
        kind = f"{method} {path.split('/')[1]}/{path.rpartition('/')[2] if path.count('/') > 2 else ''}"
        self._wait_turn(kind)
        try:
            token = self._settings.token.read()
        except SecretError as error:
            raise Transient(f"Jira's token: {error}", retry_after_s=UNAUTHORIZED_S, whole_lane=True) from error
        headers = {"X-Atlassian-Token": "no-check"} if files else {}
        if not self._settings.user:
            headers["Authorization"] = f"Bearer {token}"
        auth = (self._settings.user, token) if self._settings.user else None
        try:
            response = self._http.request(
                method, f"{self._root}{path}", json=json, params=params, files=files, headers=headers, auth=auth
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise Transient(f"Jira cannot be reached ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise _lost(f"Jira did not answer ({type(error).__name__})", ambiguous=ambiguous) from error
        self._near_limit = is_near(response.headers)
        return self._checked(Answer.of(response), kind, ambiguous=ambiguous, may=may)

    def _checked(self, answer: Answer, kind: str, *, ambiguous: bool, may: frozenset[int]) -> Answer:
        status = answer.status
        if status in may:
            return answer
        if 200 <= status < 300:
            if answer.body is None and status != 204 and not answer.empty:
                raise _lost(f"Jira answered HTTP {status} with something that is not JSON", ambiguous=ambiguous)
            return answer
        if status in LIMITED:
            raise self._limited(pause_of(status, answer.headers, self._clock.now()), kind)
        if status >= 500 or status == 408:
            raise _lost(f"Jira answered HTTP {status}", ambiguous=ambiguous)
        if status in (401, 403):
            text = unauthorized_text(answer, self._settings)
            raise Transient(text, retry_after_s=UNAUTHORIZED_S, whole_lane=status == 401)
        raise self._refused(answer)

    def _refused(self, answer: Answer) -> Exception:
        status = answer.status
        if status == 404:
            return Gone(f"Jira does not know it, or this token may not see it (HTTP 404): {reason_of(answer)}")
        if status == 413:
            return Full(f"Jira takes no more of this on the ticket (HTTP 413): {reason_of(answer)}")
        if status == 409:
            return Transient("somebody else changes the ticket at the same moment (HTTP 409)")
        return _elsewhere(status) if 300 <= status < 400 else answer.refusal()

    def _limited(self, pause: Pause, kind: str) -> Transient:
        seconds = 1.0 if pause.seconds is None else pause.seconds
        text = f"Jira limits the rate ({pause.reason})"
        if pause.scope == "requests":
            self._held[kind] = (self._clock.monotonic() + seconds, text)
        # Without a number from Jira the outbox's own, growing wait holds.
        return Transient(text, retry_after_s=pause.seconds, whole_lane=pause.scope == "everything")

    def _wait_turn(self, kind: str) -> None:
        until, text = self._held.get(kind, (0.0, ""))
        if (left := until - self._clock.monotonic()) > 0:
            raise Transient(text, retry_after_s=left)
        self._held.pop(kind, None)
        if self._near_limit:
            self._clock.sleep(NEAR_LIMIT_S)


def _lost(text: str, *, ambiguous: bool) -> Exception:
    return Ambiguous(text) if ambiguous else Transient(text)


def _elsewhere(status: int) -> Transient:
    return Transient(
        f"Jira answers with a way elsewhere (HTTP {status}); tickets.jira.url must be its address itself, "
        "without a login page in front",
        retry_after_s=UNAUTHORIZED_S,
    )

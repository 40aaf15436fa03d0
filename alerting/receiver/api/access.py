"""Who may ask for what, and how often: tokens are compared in constant time, and each may be used only so fast.

A token's file may hold several, one a line, so that a new one can be handed out before the old one is taken away.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Iterable

from fastapi import Request
from fastapi.security import HTTPBearer

from alerting.receiver.api.limits import Rate, TokenBuckets
from handrail.clock import Clock
from handrail.secret import SecretError
from handrail.settings import Settings

WEBHOOK = HTTPBearer(scheme_name="webhook", description="Alertmanager's token.", auto_error=False)
OPERATOR = HTTPBearer(scheme_name="operator", description="The operator's token.", auto_error=False)
AGENT = HTTPBearer(scheme_name="agent", description="The hand-off token of one agent.", auto_error=False)

# A person types a token wrong a few times; who tries more often guesses.
_GUESSES = Rate(10 / 60, 10)
_GUESSERS = 1000


class Refused(Exception):
    """The request ends here, with this status and text."""

    def __init__(self, status: int, text: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = {} if retry_after_s is None else {"retry-after": str(max(1, math.ceil(retry_after_s)))}
        if status == 401:
            self.headers["www-authenticate"] = "Bearer"


def matches(given: str, secrets: Iterable[str]) -> bool:
    """Is it one of them? All are compared, in a time that tells neither which nor how much of it was right."""
    digest, found = _digest(given), False
    for secret in secrets:
        found |= hmac.compare_digest(digest, _digest(secret))
    return found


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def bearer(request: Request) -> str:
    """The token that the request carries; empty when it carries none."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


class Access:
    """Knows the tokens, which are read at each use, and how fast each is used. Refused says why not."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        limits = settings.receiver.limits
        self._webhook_rate = Rate(limits.notifications_per_second, 10.0 * limits.notifications_per_second)
        self._agent_rate = Rate(limits.handoffs_per_minute / 60, limits.handoffs_per_minute)
        agents = max(1, len(settings.agents))
        self._exporter_rate = Rate(agents * limits.handoffs_per_minute / 60, agents * limits.handoffs_per_minute)
        self._operator_rate = Rate(limits.operations_per_minute / 60, limits.operations_per_minute)
        self._buckets = TokenBuckets(clock)
        self._guesses = TokenBuckets(clock, most=_GUESSERS)

    def alertmanager(self, request: Request) -> None:
        """Alertmanager asks. One that is too fast is told 503 and never 429, which it would not try again."""
        if not matches(bearer(request), self._settings.receiver.webhook_token.read_all()):
            raise Refused(401, "wrong or missing bearer token")
        if wait_s := self._buckets.take("webhook", self._webhook_rate):
            raise Refused(503, "too many notifications at once; try again", retry_after_s=wait_s)

    def operator(self, request: Request) -> None:
        """The operator asks."""
        self.operator_token(bearer(request))

    def operator_token(self, given: str) -> None:
        """Somebody gives what should be the operator's token."""
        if not self._is_operator(given):
            raise Refused(401, "wrong or missing operator token")
        if wait_s := self._buckets.take("operator", self._operator_rate):
            raise Refused(429, "too many requests with the operator token", retry_after_s=wait_s)

    def signing_in(self, given: str, address: str) -> str:
        """The operator's token, typed by somebody at `address`; ten tries a minute, right or wrong."""
        if wait_s := self._guesses.take(address, _GUESSES):
            raise Refused(429, f"too many tries; wait {math.ceil(wait_s)} s", retry_after_s=wait_s)
        if not self._is_operator(given):
            raise Refused(401, "this is not the operator token")
        return given

    def operator_tokens(self) -> tuple[str, ...]:
        """Those that hold now."""
        return self._settings.receiver.operator_token.read_all()

    def agent(self, request: Request) -> str:
        """The agent that hands over, by its token."""
        agent = self._agent_of(bearer(request))
        if agent is None:
            raise Refused(401, "wrong or missing hand-off token")
        if wait_s := self._buckets.take(f"agent/{agent}", self._agent_rate):
            raise Refused(429, "too many hand-offs; send it again later with the same key", retry_after_s=wait_s)
        return agent

    def handing_over(self, request: Request) -> str | None:
        """The agent that hands over, by its token; None for the exporter, which says whose work it is."""
        if self._is_exporter(bearer(request)):
            if wait_s := self._buckets.take("exporter", self._exporter_rate):
                raise Refused(429, "too many hand-offs; send it again later with the same key", retry_after_s=wait_s)
            return None
        return self.agent(request)

    def agent_or_operator(self, request: Request) -> str | None:
        """The agent that asks; None for the operator."""
        given = bearer(request)
        if self._is_operator(given):
            return None
        agent = self._agent_of(given)
        if agent is None:
            raise Refused(401, "wrong or missing token")
        return agent

    def _is_exporter(self, given: str) -> bool:
        """Where the exporter has no token, nobody is the exporter."""
        try:
            return matches(given, self._settings.receiver.handoff_token.read_all())
        except SecretError:
            return False

    def _is_operator(self, given: str) -> bool:
        return matches(given, self.operator_tokens())

    def _agent_of(self, given: str) -> str | None:
        """One agent's token that cannot be read keeps the others from nothing."""
        found, unreadable = None, None
        for agent in self._settings.agents:
            try:
                if agent.handoff_token is not None and matches(given, agent.handoff_token.read_all()):
                    found = agent.name
            except SecretError as error:
                unreadable = error
        if found is None and unreadable is not None:
            raise unreadable
        return found

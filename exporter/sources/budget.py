"""How much of a Cloudflare account's request limits Handrail spends: never more than its share, never less than asked.

Cloudflare counts 1,200 REST requests and 300 GraphQL queries in 5 minutes for a user, over the dashboard and every key
of theirs together, and refuses all of them for 5 minutes when there are more. So everything that asks about one account
takes from one Budget, and whoever gets none ends with what it has: nobody waits here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from exporter.sources import SourceDown
from exporter.sources.reading import listing, mapping
from handrail.clock import Clock
from handrail.quantities import format_duration

Api = Literal["rest", "graphql"]

WINDOW_S = 300.0
LIMITS: Mapping[Api, int] = {"rest": 1200, "graphql": 300}
# What Cloudflare blocks for when it names no other time, and the most that is believed of a named one.
PAUSE_S = 300.0
_LONGEST_PAUSE_S = 3600.0


class Allowance:
    """At most `limit` requests in any 5 minutes to one API; thread-safe."""

    def __init__(self, api: Api, limit: int, clock: Clock) -> None:
        self.api: Api = api
        self.limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._spent: deque[float] = deque()
        self._paused_until = 0.0

    @property
    def remaining(self) -> int:
        """Requests that may be made now; 0 during a pause."""
        with self._lock:
            now = self._forget()
            return 0 if now < self._paused_until else max(0, self.limit - len(self._spent))

    def take(self) -> None:
        """Spend one request. SourceDown `rate_limited` in a pause, `budget` when none is left, each with its end."""
        with self._lock:
            now = self._forget()
            if (left := self._paused_until - now) > 0:
                raise SourceDown("rate_limited", f"Cloudflare refuses {self.api} requests for now", left)
            if len(self._spent) >= self.limit:
                window = format_duration(timedelta(seconds=WINDOW_S))
                text = f"Handrail's share of {self.limit} {self.api} requests in {window} is used up (request_share)"
                raise SourceDown("budget", text, self._spent[0] + WINDOW_S - now)
            self._spent.append(now)

    def pause(self, seconds: float | None) -> None:
        """Make no request for so long, because Cloudflare said so; None is as long as it is known to block."""
        with self._lock:
            pause = PAUSE_S if seconds is None else min(seconds, _LONGEST_PAUSE_S)
            self._paused_until = max(self._paused_until, self._clock.monotonic() + pause)

    def _forget(self) -> float:
        now = self._clock.monotonic()
        while self._spent and self._spent[0] <= now - WINDOW_S:
            self._spent.popleft()
        return now


class Budget:
    """The share of one account's limits: `share` of each, and at least one request."""

    def __init__(self, share: Decimal, clock: Clock) -> None:
        self.rest, self.graphql = (Allowance(api, _part(api, share), clock) for api in LIMITS)

    def resize(self, share: Decimal) -> None:
        """Another share from now on; what was spent stays spent."""
        for allowance in (self.rest, self.graphql):
            allowance.limit = _part(allowance.api, share)


class Budgets:
    """One Budget for each account, also across a reload of the configuration and for several tokens of one account."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_account: dict[str, Budget] = {}

    def of(self, account_id: str, share: Decimal) -> Budget:
        """The account's budget, with this share."""
        budget = self._by_account.setdefault(account_id, Budget(share, self._clock))
        budget.resize(share)
        return budget


def names_budget(body: object) -> bool:
    """Whether an answer, also one of HTTP 200, says that a limit is used up: by an error's code or in its words."""
    for error in map(mapping, listing(mapping(body).get("errors"))):
        code = mapping(error.get("extensions")).get("code")
        text = str(error.get("message") or "").lower()
        if code == "budget" or "budget depleted" in text or "rate limiter budget" in text:
            return True
    return False


def _part(api: Api, share: Decimal) -> int:
    return max(1, int(LIMITS[api] * share))

"""n8n's API key: a JWT whose dates are read locally, and whose scopes n8n tells on request.

n8n answers a wrong, deleted or expired key, no key, and a public API that is off with the very same 401; only the
date inside the key tells one of them apart. No request tells when a key expires.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from exporter.credentials import Facts, known_of
from exporter.credentials.asking import Asking
from exporter.health import FailureReason, SourceHealth
from exporter.sources import SourceDown
from exporter.sources.fetch import Fetcher
from exporter.sources.reading import listing, mapping
from handrail.clock import Clock
from handrail.logs import LogOnce, get_logger
from handrail.secret import Secret, SecretError

READ_SCOPES = frozenset({"execution:list", "execution:read", "workflow:list"})
SWITCH_SCOPES = READ_SCOPES | {"workflow:read", "workflow:activate", "workflow:deactivate", "execution:stop"}
_DISCOVER = "/api/v1/discover"
_MAX_KEY = 8192
_LAST_SECOND = 253402300799  # of the year 9999, beyond which there are no dates


@dataclass(frozen=True, slots=True)
class KeyDates:
    """What a key says of itself; no `expires_at` is never."""

    issued_at: datetime | None
    expires_at: datetime | None


def dates_in(key: str) -> KeyDates | None:
    """The dates in a JWT, unverified; None when the text is no JWT."""
    parts = key.split(".")
    if len(parts) != 3 or len(key) > _MAX_KEY:
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(payload, Mapping):
        return None
    return KeyDates(_moment(payload.get("iat")), _moment(payload.get("exp")))


def advice(reason: FailureReason, key: str, where: str, needed: Collection[str], facts: Facts, now: datetime) -> str:
    """What to do about a refusal, by what the key says of itself and what n8n said of its scopes."""
    mend = f"make one in n8n (Settings, n8n API) with the scopes {' '.join(sorted(needed))}, and write it to {where}"
    if reason == "forbidden":
        lacking = f"the scopes {' '.join(facts.missing_scopes)}" if facts.missing_scopes else "a scope"
        return f"the key lacks {lacking}; {mend}"
    dates = dates_in(key)
    if dates is None:
        return f"{where} holds no API key of n8n; {mend}"
    if dates.expires_at and dates.expires_at <= now:
        return f"the key expired on {dates.expires_at:%Y-%m-%d}; {mend}"
    return (
        "the key is wrong or was deleted, or n8n's public API is off (N8N_PUBLIC_API_DISABLED), "
        f"which look the same; if it is on, {mend}"
    )


class N8nKey:
    """A Credential."""

    def __init__(
        self,
        name: str,
        secret: Secret,
        *,
        needed: Collection[str],
        fetch: Fetcher,
        health: SourceHealth,
        clock: Clock,
    ) -> None:
        self.name = name
        self._secret = secret
        self._needed = frozenset(needed)
        self._fetch = fetch
        self._health = health
        self._clock = clock
        self._asking = Asking(clock)
        self._log_once = LogOnce(get_logger("credentials"))
        self._facts = Facts()

    @property
    def facts(self) -> Facts:
        """What the last look found."""
        return self._facts

    def look(self) -> None:
        """Read the dates; ask for the scopes when the key or n8n's opinion of it changed, and once an hour."""
        try:
            key = self._secret.read()
        except SecretError:
            self._facts = Facts()
            return
        dates = dates_in(key) or KeyDates(None, None)
        known = known_of(self._secret, issued_at=dates.issued_at, expires_at=dates.expires_at)
        self._facts = replace(known, missing_scopes=self._facts.missing_scopes)
        if self._asking.due(key, self._health.credential_accepted):
            self._ask()

    def what_to_do(self, reason: FailureReason) -> str:
        """How a person mends a refusal."""
        try:
            key = self._secret.read()
        except SecretError:
            key = ""
        return advice(reason, key, self._secret.where, self._needed, self._facts, self._clock.now())

    def _ask(self) -> None:
        try:
            body = self._fetch.get(_DISCOVER).body
        except SourceDown as down:
            if not self._asking.is_answered(down):
                return
            body = None
        scopes = mapping(mapping(body).get("data")).get("scopes")
        # An older n8n does not know the request; then nothing is known about scopes.
        known = {scope for scope in listing(scopes) if isinstance(scope, str)} if isinstance(scopes, list) else None
        missing = None if known is None else tuple(sorted(self._needed - known))
        self._facts = replace(self._facts, missing_scopes=missing)
        self._say(missing)

    def _say(self, missing: tuple[str, ...] | None) -> None:
        subject = f"{self.name} scopes"
        if missing:
            text = f"the key in {self._secret.where} lacks scopes; make one in n8n (Settings, n8n API) that has them"
            self._log_once.failed(subject, f"missing: {' '.join(missing)}", text=text)
        elif missing is not None:
            self._log_once.succeeded(subject)


def _moment(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LAST_SECOND:
        return None
    return datetime.fromtimestamp(value, UTC)

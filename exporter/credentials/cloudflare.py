"""Cloudflare's API token, of an account or of a user: when it expires, and when it was issued if it may know that.

An account's token is refused by the user's address for asking and the other way round, so the account's address is
tried first and a refusal there means nothing yet. A success carries a message with the code that failures have, so
only `success` counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from exporter.credentials import Facts, known_of
from exporter.credentials.asking import Asking
from exporter.health import FailureReason, SourceHealth
from exporter.sources import SourceDown
from exporter.sources.fetch import Fetcher
from exporter.sources.reading import mapping, moment
from handrail.clock import Clock
from handrail.secret import Secret, SecretError
from handrail.source_settings import CloudflareSource

_ID = re.compile(r"[0-9A-Za-z]{1,64}")


@dataclass(frozen=True, slots=True)
class _Told:
    """What Cloudflare said of the token."""

    status: str = ""
    expires_at: datetime | None = None
    not_before: datetime | None = None
    issued_at: datetime | None = None


def advice(reason: FailureReason, told: Mapping[str, str], settings: CloudflareSource) -> str:
    """What to do about a refusal. `told` is what Cloudflare said: status, expired, not_before, as far as it did."""
    needed = ["AI Gateway Read"] + (["Account Analytics Read"] if settings.analytics.enabled else [])
    needed += ["Workers Observability Read"] if settings.logs == "observability" else []
    mend = f"make one in the dashboard with {' and '.join(needed)}, and write it to {settings.api_token.where}"
    if reason == "forbidden":
        return f"the token lacks a permission for account {settings.account_id}; {mend}"
    if expired := told.get("expired"):
        return f"the token expired on {expired}; {mend}"
    if not_before := told.get("not_before"):
        return f"the token is not valid before {not_before}"
    if told.get("status") == "disabled":
        return f"the token is disabled; enable it in the dashboard, or {mend}"
    return f"the token is wrong, was deleted or rolled; {mend}"


class CloudflareToken:
    """A Credential."""

    def __init__(
        self, name: str, settings: CloudflareSource, *, fetch: Fetcher, health: SourceHealth, clock: Clock
    ) -> None:
        self.name = name
        self._settings = settings
        self._secret: Secret = settings.api_token
        self._fetch = fetch
        self._health = health
        self._clock = clock
        self._asking = Asking(clock)
        self._told = _Told()
        self._facts = Facts()

    @property
    def facts(self) -> Facts:
        """What the last look found."""
        return self._facts

    def look(self) -> None:
        """Ask when the token or Cloudflare's opinion of it changed, and once an hour."""
        try:
            token = self._secret.read()
        except SecretError:
            self._told, self._facts = _Told(), Facts()
            return
        due = self._asking.due(token, self._health.credential_accepted)
        if self._asking.is_new:
            self._told = _Told()
        if due:
            self._ask()
        self._facts = known_of(self._secret, issued_at=self._told.issued_at, expires_at=self._told.expires_at)

    def what_to_do(self, reason: FailureReason) -> str:
        """How a person mends a refusal."""
        now, told = self._clock.now(), {"status": self._told.status}
        if self._told.expires_at and (self._told.expires_at <= now or self._told.status == "expired"):
            told["expired"] = f"{self._told.expires_at:%Y-%m-%d}"
        if self._told.not_before and self._told.not_before > now:
            told["not_before"] = f"{self._told.not_before:%Y-%m-%d}"
        return advice(reason, told, self._settings)

    def _ask(self) -> None:
        account = f"/accounts/{quote(self._settings.account_id, safe='')}/tokens"
        for base in (account, "/user/tokens"):
            try:
                result = self._result(f"{base}/verify")
            except SourceDown as down:
                if self._asking.is_answered(down):
                    continue
                return
            if result:
                self._told = _Told(
                    status=str(result.get("status") or "")[:20],
                    expires_at=moment(result.get("expires_on")),
                    not_before=moment(result.get("not_before")),
                    issued_at=self._told.issued_at or self._issued(base, result.get("id")),
                )
                return

    def _issued(self, base: str, identifier: object) -> datetime | None:
        """When the token was issued. Only one that may read tokens learns it, so a new token asks once."""
        if not self._asking.is_new or not isinstance(identifier, str) or not _ID.fullmatch(identifier):
            return None
        try:
            return moment(self._result(f"{base}/{identifier}").get("issued_on"))
        except SourceDown:
            return None

    def _result(self, path: str) -> Mapping[str, object]:
        envelope = mapping(self._fetch.get(path).body)
        return mapping(envelope.get("result")) if envelope.get("success") is True else {}

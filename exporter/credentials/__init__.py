"""What is known of a credential: dates and scopes, never anything of the secret itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal, Protocol

from exporter.health import FailureReason
from handrail.secret import Secret

# Who says when it was issued: the credential or its service, handrail.yaml, or the file that holds it. A file was
# written when the credential existed already, so its time says only "issued then or earlier".
Basis = Literal["stated", "configured", "file"]


@dataclass(frozen=True, slots=True)
class Facts:
    """Dates are None while nobody tells them; a credential that never expires has no `expires_at` either."""

    expires_at: datetime | None = None
    issued_at: datetime | None = None
    basis: Basis = "stated"
    missing_scopes: tuple[str, ...] | None = None


class Credential(Protocol):
    """One credential that the settings name. Its name is that of its source, or of the part that uses it."""

    @property
    def name(self) -> str:
        """The value of the label `credential`."""
        ...

    @property
    def facts(self) -> Facts:
        """What the last look found."""
        ...

    def look(self) -> None:
        """Look at the secret, and now and then ask its service; raises nothing that a secret or a service may do."""
        ...

    def what_to_do(self, reason: FailureReason) -> str:
        """How a person mends that its service refuses it; names the place and what it must allow, never the secret."""
        ...


def known_of(secret: Secret, *, expires_at: datetime | None = None, issued_at: datetime | None = None) -> Facts:
    """What the credential states of itself, completed by the settings, and by the time its file was written."""
    expires_at = expires_at or _midnight(secret.expires)
    if issued_at:
        return Facts(expires_at, issued_at)
    if secret.issued:
        return Facts(expires_at, _midnight(secret.issued), "configured")
    return Facts(expires_at, secret.written_at(), "file")


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None

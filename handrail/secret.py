"""A secret is named by a file or an environment variable, read at the moment of use, and prints as `***`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path


class SecretError(Exception):
    """A secret cannot be read; the text names where it was sought and never its value."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret lives. Exactly one of `file` and `env` is set; reading again sees a rotated file at once.

    `issued` and `expires` are what the team says of it, if it does.
    """

    file: Path | None = None
    env: str | None = None
    issued: date | None = None
    expires: date | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False, compare=False)  # noqa: TID251

    def read(self) -> str:
        """The secret without surrounding white space; SecretError when it is missing or empty."""
        value = self._from_file(self.file) if self.file else self.environ.get(self.env or "", "").strip()
        if not value:
            raise SecretError(f"{self.where} is empty or not set; write the secret there")
        return value

    def read_all(self) -> tuple[str, ...]:
        """Every line of it: a token that is asked for may be one of several, while a new one takes over from an old."""
        return tuple(line for text in self.read().splitlines() if (line := text.strip()))

    @property
    def where(self) -> str:
        """The place a person has to mend, e.g. `file /run/secrets/n8n_api_key`."""
        return f"file {self.file}" if self.file else f"environment variable {self.env}"

    def written_at(self) -> datetime | None:
        """When the file was last written, so the latest time the secret can have been issued; None if nobody knows."""
        if self.file is None:
            return None
        try:
            return datetime.fromtimestamp(self.file.stat().st_mtime, UTC)
        except (OSError, OverflowError, ValueError):
            return None

    @staticmethod
    def _from_file(path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise SecretError(f"file {path} cannot be read ({reason})") from error

    def __str__(self) -> str:
        return "***"

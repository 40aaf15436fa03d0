"""One thread looks at every credential each minute; a defect or an outage at one never hides the others."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.credentials import Credential, Facts
from exporter.health import SourceHealth
from exporter.poller import PollStopped
from handrail.logs import Logger

LOOK_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Standing:
    """A credential's name, what is known of it, and whether its source took it when it last said so."""

    name: str
    facts: Facts
    valid: bool | None


class CredentialWatch:
    """The credentials of the present settings, each with the health of the sources that it opens."""

    def __init__(self, credentials: Sequence[tuple[Credential, Sequence[SourceHealth]]], logger: Logger) -> None:
        self._credentials = credentials
        self._logger = logger

    @property
    def standings(self) -> list[Standing]:
        """All of them as of now."""
        return [Standing(each.name, each.facts, _valid(health)) for each, health in self._credentials]

    def look(self) -> None:
        """Look at each once. PollStopped when the process wants to stop."""
        for credential, _ in self._credentials:
            try:
                credential.look()
            except PollStopped:
                raise
            except Exception:  # a defect at one credential must not keep the others from being watched
                self._logger.exception("credential_check_failed", credential=credential.name)

    def run(self, stop: threading.Event) -> None:
        """Look until told to stop."""
        while not stop.is_set():
            try:
                self.look()
            except PollStopped:
                return
            stop.wait(LOOK_EVERY_S)


def _valid(health: Sequence[SourceHealth]) -> bool | None:
    """False if any source refused it: a permission that is missing for one of them is missing."""
    said = [each.credential_accepted for each in health if each.credential_accepted is not None]
    return all(said) if said else None

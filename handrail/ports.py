"""The simulated world's ports: fixed, shifted together when they are taken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port of the simulated world on loopback. `offset` moves all of them, also those of the stack's parts.

    Only in a container of its own may the world listen on another `host`.
    """

    offset: int = 0
    host: str = "127.0.0.1"

    @property
    def control(self) -> int:
        """The control API of the simulated world."""
        return 18100 + self.offset

    @property
    def n8n(self) -> int:
        return 18101 + self.offset

    @property
    def cloudflare(self) -> int:
        return 18102 + self.offset

    @property
    def llm(self) -> int:
        return 18103 + self.offset

    @property
    def jira(self) -> int:
        return 18104 + self.offset

    @property
    def slack(self) -> int:
        return 18105 + self.offset

    @property
    def prometheus(self) -> int:
        return 9090 + self.offset

    @property
    def alertmanager(self) -> int:
        return 9093 + self.offset

    @property
    def exporter(self) -> int:
        return 9095 + self.offset

    @property
    def receiver(self) -> int:
        return 9096 + self.offset

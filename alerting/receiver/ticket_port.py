"""What is asked of a ticket system: values that say what a ticket is, and the few things that are done to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from alerting.receiver.text import Document
from alerting.receiver.worker import Permanent


class Ambiguous(Exception):
    """The request may or may not have had its effect."""


class Gone(Exception):
    """The ticket does not exist any more, or may not be seen any more."""


class Full(Exception):
    """The ticket takes no more of this."""


class Refused(Permanent):
    """It is refused, for good; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which episode of which incident a ticket is about."""

    incident: str
    episode: int

    @property
    def label(self) -> str:
        """What the ticket is searched by: our own prefix, hexadecimal digits and a number."""
        return f"handrail-{self.incident}-{self.episode}"


@dataclass(frozen=True, slots=True)
class WebLink:
    """A link beside the ticket. One with the same `name` on the same ticket is replaced, never added."""

    name: str
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A ticket to be."""

    identity: Identity
    summary: str
    document: Document
    labels: tuple[str, ...]
    severity: str | None = None
    agent: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """A new ticket; `cut` is set when its text was too long and is to be attached."""

    key: str
    cut: bool


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as it is now. `incident` is the one it was created for; None when nobody of us created it.

    `number` orders tickets by their age; `wont_fix`: a person decided that nothing is to be done.
    """

    key: str
    number: int
    incident: str | None
    done: bool
    wont_fix: bool
    resolution: str | None = None
    labels: frozenset[str] = field(default_factory=frozenset)
    attachments: frozenset[str] = field(default_factory=frozenset)


class TicketPort(Protocol):
    """What is needed of a ticket system. Raises Ambiguous, Gone, Full, Refused and the worker's Transient."""

    def create(self, draft: Draft) -> Created:
        """Create a ticket that carries its identity from its first moment on."""
        ...

    def find(self, label: str) -> list[str]:
        """The keys of the tickets that carry the label, as far as the search knows, oldest first."""
        ...

    def read(self, key: str) -> Ticket:
        """The ticket as it is now, never out of a search."""
        ...

    def comment(self, key: str, document: Document, delivery: str) -> bool:
        """Add a comment that carries the delivery's name; True when it was cut and is to be attached."""
        ...

    def has_comment(self, key: str, delivery: str, *, since: float) -> bool:
        """Is there a comment, not older than `since` (epoch seconds), that carries the delivery's name?"""
        ...

    def close(self, key: str, hold: Callable[[], None]) -> bool:
        """Move the ticket to done; False when it already was. `hold` is called right before, and may raise."""
        ...

    def reopen(self, key: str, hold: Callable[[], None]) -> bool:
        """Move the ticket out of done; False when its workflow knows no way. `hold` as above."""
        ...

    def adopt(self, key: str, identity: Identity) -> None:
        """Have the ticket found under this identity too; what else it carries is left as it is."""
        ...

    def link(self, key: str, links: Sequence[WebLink]) -> None:
        """Put links beside the ticket, each once."""
        ...

    def relate(self, key: str, other: str, *, duplicate: bool = False) -> bool:
        """Link the ticket with another one; False when that kind of link does not exist here."""
        ...

    def attach(self, key: str, name: str, content: str) -> None:
        """Attach a text file."""
        ...

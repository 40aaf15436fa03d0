"""What the mixin makes of one file's settings, before anybody's format is given to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Document = Mapping[str, Any]
# By path below the target folder: a document, several in one file, or text that is written as it is.
Files = Mapping[str, Document | list[Document] | str]


class CannotExpress(ValueError):
    """The format has no place for something the file asks for; the text says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Rule groups, Alertmanager's and Prometheus' configuration as plain files, and dashboards by their names."""

    rules: Document
    alertmanager: Document
    prometheus: Document
    dashboards: Mapping[str, Document]


class Output(Protocol):
    """A format that documents are written in."""

    @property
    def webhook_url(self) -> str | None:
        """Where this format's Alertmanager reaches the receiver; None is the address it listens on."""

    def files(self, documents: Documents) -> Files:
        """The files to write; CannotExpress if the format has no place for something."""


def secret_name(path: str, names: dict[str, str]) -> str:
    """What a secret is called where there are no files: the name of its file. `names` keeps the path of each."""
    name = Path(path).name
    if names.setdefault(name, path) != path:
        raise CannotExpress(f"two secrets are in files called {name}: {names[name]} and {path}; rename one")
    return name

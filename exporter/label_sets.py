"""Names that come from outside become label values, few of them: the first 20 of an agent, `other` from then on.

Which they are is stored, so that a restart does not give the places to others.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, select

from exporter.tables import insert_or_ignore, label_values_table

MOST_VALUES = 20
OTHER = "other"
# Where a source tells no name. It takes no place of the 20, nor does `other`.
UNKNOWN = "unknown"
# Provider's names of models may be long (an ARN); tools are named by people.
_LONGEST = {"tool": 64, "model": 128}


class LabelSets:
    """The values that agents have used of the labels `tool` and `model`."""

    def __init__(self, known: Iterable[tuple[str, str, str]] = ()) -> None:
        self._known: dict[tuple[str, str], set[str]] = defaultdict(set)
        for agent, label, value in known:
            self._known[agent, label].add(value)
        self._new: list[tuple[str, str, str]] = []

    @classmethod
    def of(cls, connection: Connection, agents: Iterable[str]) -> LabelSets:
        """Those that are stored."""
        table = label_values_table
        found = connection.execute(select(table).where(table.c.agent.in_(sorted(set(agents)))))
        return cls((row.agent, row.label, row.value) for row in found)

    def value(self, agent: str, label: str, name: str) -> str:
        """What stands for this name in a metric; any label but `tool` and `model` is its own value."""
        if label not in _LONGEST:
            return name
        value = printable(name, _LONGEST[label])
        if not value or value in (OTHER, UNKNOWN):
            return value or OTHER
        known = self._known[agent, label]
        if value in known:
            return value
        if len(known) >= MOST_VALUES:
            return OTHER
        known.add(value)
        self._new.append((agent, label, value))
        return value

    def store(self, connection: Connection) -> None:
        """Remember the new ones."""
        rows = [{"agent": agent, "label": label, "value": value} for agent, label, value in self._new]
        insert_or_ignore(connection, label_values_table, rows)


def printable(name: str, longest: int) -> str:
    """The name without control, format and surrogate characters, at most so long, without outer spaces."""
    kept = "".join(letter for letter in name if not unicodedata.category(letter).startswith("C"))
    return kept.strip()[:longest].strip()

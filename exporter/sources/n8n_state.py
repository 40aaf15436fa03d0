"""What has to be remembered between two polls of n8n so that no execution is missed. Plain JSON, without I/O.

n8n gives an id when an execution starts and lists it when it ends, so the highest id seen says nothing about what is
still to come. Hence: every execution that has begun and not ended is kept open, and each poll reads the list again
down to where the poll before the last one had come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from exporter.sources import State
from exporter.sources.n8n_rows import Row, has_ended, row_of
from exporter.sources.n8n_watch import Memory
from exporter.sources.reading import moment


@dataclass(slots=True)
class Cursor:
    """Where the reading stands. `top` is the highest id, `floor` the top of the poll before, None before the first.

    `open` holds the rows that have not ended, `asked` the last of them that was looked up by its id, `seen` what has
    ended above the floor, `pending` the rows whose details are still to be read, `memory` what is known of the
    workflows. `latest_start` is the latest start among all rows, `epoch` how often n8n has begun to count its
    executions anew.
    """

    top: int | None = None
    floor: int = 0
    open: dict[int, Row] = field(default_factory=dict)
    asked: int = 0
    seen: set[int] = field(default_factory=set)
    pending: list[Row] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    latest_start: datetime | None = None
    epoch: int = 0

    @classmethod
    def load(cls, state: State) -> Cursor:
        """The cursor that was dumped; a fresh one from an empty state."""
        return cls(
            top=state.get("top"),
            floor=state.get("floor", 0),
            open={int(key): _opened(key, row) for key, row in state.get("open", {}).items()},
            asked=state.get("asked", 0),
            seen=set(state.get("seen", ())),
            pending=[dict(row) for row in state.get("pending", ())],
            memory=Memory.load(state),
            latest_start=moment(state.get("latest_start")),
            epoch=state.get("epoch", 0),
        )

    def dump(self) -> State:
        """The cursor as JSON."""
        return {
            "top": self.top,
            "floor": self.floor,
            "open": {str(key): row for key, row in sorted(self.open.items())},
            "asked": self.asked,
            "seen": sorted(self.seen),
            "pending": self.pending,
            "latest_start": self.latest_start.isoformat() if self.latest_start else None,
            "epoch": self.epoch,
        } | self.memory.dump()

    def meet(self, row: Mapping[str, Any]) -> bool:
        """Take note of a row; True when it has ended and was not known to have."""
        number, start = int(row["id"]), moment(row.get("startedAt"))
        if start:
            self.latest_start = max(start, self.latest_start or start)
        if not has_ended(row):
            self.open[number] = dict(row)
            return False
        was_open = self.open.pop(number, None) is not None
        new = number not in self.seen and (was_open or number > self.floor)
        self.seen.add(number)
        return new

    def give_up(self, number: int) -> Row:
        """An open execution is gone; the last that was seen of it."""
        self.seen.add(number)
        return self.open.pop(number)

    def counts_anew(self, rows: Sequence[Row]) -> bool:
        """Whether n8n was reset or restored and gives its ids once more: all ids are old ones, with a new start."""
        if not rows or self.latest_start is None or max(int(row["id"]) for row in rows) > self.floor:
            return False
        starts = [moment(row.get("startedAt")) for row in rows if int(row["id"]) not in self.open]
        return any(start is not None and start > self.latest_start for start in starts)

    def begin_anew(self, floor: int) -> int:
        """Forget everything about the ids of before; how many executions were not yet read and never will be."""
        lost = len(self.pending) + len(self.open)
        self.top = self.floor = floor
        self.open, self.seen, self.pending = {}, set(), []
        self.epoch += 1
        return lost

    def next_to_ask(self, numbers: Sequence[int], most: int) -> list[int]:
        """Which of these ids (ascending) to look up now when there are more than `most`: each has its turn."""
        later = [number for number in numbers if number > self.asked]
        chosen = [*later, *(number for number in numbers if number <= self.asked)][:most]
        self.asked = chosen[-1] if len(numbers) > most else 0
        return chosen

    def never_met(self, most: int) -> tuple[list[int], int]:
        """Ids that two polls could have shown and none did: the first few, and how many more there are.

        They were not saved, are not visible, or are queued where no list looks. A database may skip any number.
        """
        top = self.top or 0
        met = sum(self.floor < number <= top for number in self.seen | self.open.keys())
        first = list(islice(self._unmet(top), most))
        return first, max(0, top - self.floor - met - len(first))

    def _unmet(self, top: int) -> Iterator[int]:
        return (n for n in range(self.floor + 1, top + 1) if n not in self.seen and n not in self.open)

    def move_on(self, highest: int) -> None:
        """End a poll that has read down to the floor."""
        self.floor, self.top = self.top or 0, max(self.top or 0, highest)
        self.seen = {number for number in self.seen if number > self.floor}


def _opened(number: str, row: object) -> Row:
    """A row; ledgers of early versions knew only its workflow."""
    opened = row_of(row)
    return opened or {"id": number, "status": "running", "workflowId": str(row)}

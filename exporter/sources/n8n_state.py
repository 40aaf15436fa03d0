"""What has to be remembered between two polls of n8n so that no execution is missed. Plain JSON, without I/O.

n8n gives an id when an execution starts and lists it when it ends, so the highest id seen says nothing about what is
still to come. Hence: every execution that has begun and not ended is kept open, and each poll reads the list again
down to where the poll before the last one had come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from exporter.sources import State
from exporter.sources.n8n_execution import TERMINAL
from exporter.sources.reading import moment

_ROW = ("id", "mode", "status", "startedAt", "stoppedAt", "workflowId", "attempts")

Row = dict[str, Any]


def is_row(row: object) -> bool:
    """Whether this is a row of the list of executions."""
    return (
        isinstance(row, Mapping)
        and isinstance(row.get("id"), str)
        and row["id"].isdigit()
        and isinstance(row.get("status"), str)
        and isinstance(row.get("workflowId"), str)
    )


def has_ended(row: Mapping[str, Any]) -> bool:
    """Whether nothing more will happen to the execution; a waiting one has a stoppedAt and has not ended."""
    return row["status"] in TERMINAL


@dataclass(slots=True)
class Cursor:
    """Where the reading stands. `top` is the highest id, `floor` the top of the poll before, None before the first.

    `open` holds what has not ended (id: workflow), `seen` what has ended above the floor, `pending` the rows whose
    details are still to be read, `discovered` the names of discovered agents by workflow. `latest_start` is the
    latest start among all rows, `epoch` how often n8n has begun to count its executions anew.
    """

    top: int | None = None
    floor: int = 0
    open: dict[int, str] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    pending: list[Row] = field(default_factory=list)
    discovered: dict[str, str] = field(default_factory=dict)
    latest_start: datetime | None = None
    epoch: int = 0

    @classmethod
    def load(cls, state: State) -> Cursor:
        """The cursor that was dumped; a fresh one from an empty state."""
        return cls(
            top=state.get("top"),
            floor=state.get("floor", 0),
            open={int(key): workflow for key, workflow in state.get("open", {}).items()},
            seen=set(state.get("seen", ())),
            pending=[dict(row) for row in state.get("pending", ())],
            discovered=dict(state.get("discovered", {})),
            latest_start=moment(state.get("latest_start")),
            epoch=state.get("epoch", 0),
        )

    def dump(self) -> State:
        """The cursor as JSON."""
        return {
            "top": self.top,
            "floor": self.floor,
            "open": {str(key): workflow for key, workflow in sorted(self.open.items())},
            "seen": sorted(self.seen),
            "pending": [{name: row[name] for name in _ROW if name in row} for row in self.pending],
            "discovered": dict(sorted(self.discovered.items())),
            "latest_start": self.latest_start.isoformat() if self.latest_start else None,
            "epoch": self.epoch,
        }

    def meet(self, row: Mapping[str, Any]) -> bool:
        """Take note of a row; True when it has ended and was not known to have."""
        number, start = int(row["id"]), moment(row.get("startedAt"))
        if start:
            self.latest_start = max(start, self.latest_start or start)
        if not has_ended(row):
            self.open[number] = row["workflowId"]
            return False
        was_open = self.open.pop(number, None) is not None
        new = number not in self.seen and (was_open or number > self.floor)
        self.seen.add(number)
        return new

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

    def never_met(self) -> list[int]:
        """Ids that two polls could have shown and none did: not saved, not visible, or queued where no list looks."""
        return [n for n in range(self.floor + 1, (self.top or 0) + 1) if n not in self.seen and n not in self.open]

    def move_on(self, highest: int) -> None:
        """End a poll that has read down to the floor."""
        self.floor, self.top = self.top or 0, max(self.top or 0, highest)
        self.seen = {number for number in self.seen if number > self.floor}

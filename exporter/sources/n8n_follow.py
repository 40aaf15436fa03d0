"""Which executions of one n8n ended since the last poll, and which are gone: none is missed, none comes twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from exporter.sources.n8n_api import N8nApi
from exporter.sources.n8n_rows import UNFINISHED, Row, has_ended
from exporter.sources.n8n_state import Cursor
from exporter.sources.reading import moment

# Each is a request: what is left of them is done by the next polls.
MAX_LOOK_UPS = 200
MAX_PROBES = 50
# A database that skips more ids than this at once has not run so many executions.
MAX_GAP = 1_000_000


@dataclass(slots=True)
class Found:
    """`ended` in ascending order of id; `gone` ended and n8n keeps nothing of them; `gap` is how many ids of which
    nothing at all is known, not even their workflow. `anew` says that n8n gives its ids once more.
    """

    ended: list[Row] = field(default_factory=list)
    gone: list[Row] = field(default_factory=list)
    gap: int = 0
    anew: bool = False


def follow(api: N8nApi, cursor: Cursor) -> Found:
    """Read the lists and move the cursor on. SourceDown leaves the cursor in pieces: it must be thrown away then."""
    return _Following(api, cursor).follow()


class _Following:
    def __init__(self, api: N8nApi, cursor: Cursor) -> None:
        self._api = api
        self._cursor = cursor
        self._found = Found()

    def follow(self) -> Found:
        cursor, found = self._cursor, self._found
        newest = next(self._api.executions(limit=1), [])
        if cursor.top is None:
            cursor.top = cursor.floor = max((int(row["id"]) for row in newest), default=0)
        unfinished = [row for status in UNFINISHED for page in self._api.executions(status=status) for row in page]
        if cursor.counts_anew([*newest, *unfinished]):
            found.gap += cursor.begin_anew(self._first_since())
            found.anew = True
        for row in unfinished:
            cursor.meet(row)
        alive = {int(row["id"]) for row in unfinished}
        highest = max(alive, default=0)
        for row in self._newer_than_the_floor():
            highest = max(highest, int(row["id"]))
            if cursor.meet(row):
                found.ended.append(row)
            elif not has_ended(row):
                alive.add(int(row["id"]))
        found.ended += self._look_up(sorted(cursor.open.keys() - alive))
        found.ended += self._probe()
        cursor.move_on(highest)
        found.ended.sort(key=lambda row: int(row["id"]))
        return found

    def _first_since(self) -> int:
        """The highest id that began before the latest start that is known; 0 when all began later."""
        latest = self._cursor.latest_start
        for page in self._api.executions():
            for row in page:
                start = moment(row.get("startedAt"))
                if start and latest and start <= latest:
                    return int(row["id"])
        return 0

    def _newer_than_the_floor(self) -> Iterator[Row]:
        for page in self._api.executions():
            for row in page:
                if int(row["id"]) <= self._cursor.floor:
                    return
                yield row

    def _look_up(self, numbers: list[int]) -> Iterable[Row]:
        """What became of executions that no list of unfinished ones names any more."""
        for number in self._cursor.next_to_ask(numbers, MAX_LOOK_UPS):
            row = self._api.execution(number)
            if row is None:
                # n8n was told not to save it, or it was deleted. That it ran is all that will ever be known.
                self._found.gone.append(self._cursor.give_up(number))
            elif self._cursor.meet(row):
                yield row

    def _probe(self) -> Iterator[Row]:
        """Look once at ids that no list has shown: a queue keeps some where no list looks, others are not saved."""
        unknown, more = self._cursor.never_met(MAX_PROBES)
        self._found.gap += min(more, MAX_GAP)
        for number in unknown:
            row = self._api.execution(number)
            if row is None:
                self._found.gap += 1
            elif self._cursor.meet(row):
                yield row

"""The past of one n8n: its list from the newest execution to the oldest, and the details of watched workflows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from exporter.calls import Call
from exporter.history.past import Reached
from exporter.history.spool import Spool
from exporter.sources import SourceDown, State
from exporter.sources.n8n_api import N8nApi
from exporter.sources.n8n_execution import Origin, Unreadable
from exporter.sources.n8n_rows import Row, has_ended, is_test_run
from exporter.sources.n8n_state import Cursor
from exporter.sources.n8n_watch import WatchedAgent, watch
from exporter.sources.reading import moment
from handrail.agent_settings import Agent, N8nAgent
from handrail.clock import Clock
from handrail.http import HttpClient
from handrail.source_settings import N8nSource as N8nSettings

# After so many failures the details are given up and the row alone is counted, as it is when polling.
_MAX_ATTEMPTS = 3
# So many executions are kept in one transaction.
_TOGETHER = 25


class N8nPast:
    """A Past. `state` is the ledger's of this source, so that agents and calls have the names they have there."""

    def __init__(
        self,
        settings: N8nSettings,
        agents: Sequence[Agent],
        clock: Clock,
        *,
        client: HttpClient,
        state: State,
        without: frozenset[str],
        on_request: Callable[[str], None],
        suffix: str = "",
    ) -> None:
        self._settings = settings
        self._suffix = suffix
        self._agents = agents
        self._clock = clock
        self._without = without
        self._cursor = Cursor.load(state)
        self._api = N8nApi(settings, now=clock.now, client=client, on_request=on_request)
        self._failed: Counter[str] = Counter()
        self._calls = 0
        self._oldest: datetime | None = None

    @property
    def name(self) -> str:
        """As the label `source`."""
        return f"n8n/{self._settings.name}"

    def read(self, spool: Spool, since: datetime) -> Iterator[Reached]:
        """From the newest to the oldest, each execution once."""
        watched, now = self._watched(), self._clock.now()
        self._calls = spool.count(self.name)
        for page in self._api.executions(startedAfter=_iso(since)):
            wanted = [row for row in page if _is_call(row) and row["workflowId"] in watched]
            for start in range(0, len(wanted), _TOGETHER):
                some = wanted[start : start + _TOGETHER]
                for row in self._read_some(spool, some, watched):
                    at = moment(row.get("startedAt")) or now
                    self._oldest = min(at, self._oldest or at)
                    yield Reached(self.name, at, (now - at) / (now - since), self._calls)
        yield Reached(self.name, since, 1.0, self._calls)

    def _read_some(self, spool: Spool, rows: Sequence[Row], watched: Mapping[str, WatchedAgent]) -> Iterator[Row]:
        """Read a few executions, one by one; what was read is kept however this ends."""
        known = spool.was_read(self.name, [row["id"] for row in rows])
        read: dict[str, list[Call]] = {}
        try:
            for row in rows:
                if row["id"] not in known:
                    read[row["id"]] = calls = self._calls_of(row, watched[row["workflowId"]])
                    self._calls += len(calls)
                yield row
        finally:
            spool.store_read(self.name, read, [call for calls in read.values() for call in calls])

    def kept_since(self, since: datetime) -> datetime | None:
        """The oldest execution that was read, unless n8n knows one that began earlier than `since`."""
        earlier = next(self._api.executions(limit=1, startedBefore=_iso(since)), [])
        return None if earlier else self._oldest or self._clock.now()

    def _watched(self) -> dict[str, WatchedAgent]:
        configured = [
            agent
            for agent in self._agents
            if isinstance(agent.source, N8nAgent) and agent.source.n8n == self._settings.name
        ]
        found = watch(
            self._api.workflows(),
            configured,
            discover=self._settings.discover,
            exclude=self._settings.exclude,
            taken={agent.name for agent in self._agents},
            memory=self._cursor.memory,
            suffix=self._suffix,
        )
        return {workflow: agent for workflow, agent in found.agents.items() if agent.name not in self._without}

    def _calls_of(self, row: Row, agent: WatchedAgent) -> list[Call]:
        origin = Origin(self.name, agent.name, self._settings.url, agent.confidence, self._cursor.epoch)
        try:
            return self._api.calls_of(row, origin, with_details=self._failed[row["id"]] < _MAX_ATTEMPTS)
        except Unreadable:
            return []
        except SourceDown:
            self._failed[row["id"]] += 1
            raise


def _is_call(row: Row) -> bool:
    """Whether an execution counts: it ended, and nobody only tried it in the editor."""
    return has_ended(row) and not is_test_run(row)


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

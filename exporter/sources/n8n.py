"""Reads the executions of one n8n: each watched one that ends after the first start is reported, none is missed.

An answer that is not JSON means that n8n is down, never that something is gone. Details are read for watched workflows
only, because they are large and hold prompts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from exporter.calls import Call
from exporter.sources import Batch, Count, Running, SourceDown, State
from exporter.sources.n8n_api import N8nApi
from exporter.sources.n8n_execution import TERMINAL, Origin, Unreadable
from exporter.sources.n8n_state import Cursor, Row, has_ended
from exporter.sources.n8n_workflows import Watch, Workflow, watch
from exporter.sources.reading import moment
from handrail.agent_settings import Agent, N8nAgent
from handrail.clock import Clock
from handrail.http import HttpClient
from handrail.logs import LogOnce, get_logger
from handrail.source_settings import N8nSource as N8nSettings

_UNFINISHED = ("running", "waiting", "new")
_MAX_PROBES = 50
_MAX_DETAILS = 200
_MAX_ATTEMPTS = 3
# The list of workflows is some 3 kB for each; a short one is read every time, a long one not more often than this.
_SHORT_LIST = 50
_WORKFLOWS_AGE_S = 10.0


@dataclass(slots=True)
class _Found:
    """What a poll has found so far."""

    unfinished: list[Row]
    gap: int = 0


class N8nSource:
    """A Source. The first poll begins at now: what has ended before is not counted, what is running then will be."""

    def __init__(
        self,
        settings: N8nSettings,
        agents: Sequence[Agent],
        clock: Clock,
        *,
        client: HttpClient,
        on_request: Callable[[str], None] = lambda _status: None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._taken = {agent.name for agent in agents}
        self._configured = [
            agent for agent in agents if isinstance(agent.source, N8nAgent) and agent.source.n8n == settings.name
        ]
        self._api = N8nApi(settings, now=clock.now, client=client, on_request=on_request)
        self._log_once = LogOnce(get_logger("n8n"))
        self._workflows: list[Workflow] = []
        self._workflows_at: float | None = None

    @property
    def name(self) -> str:
        """The value of the label `source`."""
        return f"n8n/{self._settings.name}"

    @property
    def poll_interval_s(self) -> float:
        """How often it wants to be polled."""
        return self._settings.poll_interval.total_seconds()

    def poll(self, state: State) -> Batch:
        """What has ended since `state`. SourceDown when the lists cannot be read; details may fail one by one."""
        cursor = Cursor.load(state)
        self._read_workflows(at_most_every_s=_WORKFLOWS_AGE_S)
        newest = next(self._api.executions(limit=1), [])
        if cursor.top is None:
            cursor.top = cursor.floor = max((int(row["id"]) for row in newest), default=0)
        found = _Found(unfinished=list(self._unfinished()))
        if cursor.counts_anew([*newest, *found.unfinished]):
            found.gap += cursor.begin_anew(self._first_since(cursor))
            get_logger("n8n").warning("executions_are_counted_anew", source=self.name, epoch=cursor.epoch)
        ended = self._ended(cursor, found)
        watched = self._watch(cursor)
        if any(row["workflowId"] not in {workflow.id for workflow in self._workflows} for row in ended):
            self._read_workflows(at_most_every_s=0.0)
            watched = self._watch(cursor)
        cursor.pending += [row for row in ended if row["workflowId"] in watched.agents and row.get("mode") != "manual"]
        calls, trouble = self._details(cursor, watched, found)
        return Batch(
            state=cursor.dump(),
            calls=tuple(calls),
            running=_running(found.unfinished, watched),
            agents=frozenset(watched.discovered.values()),
            enabled=watched.enabled,
            gap=found.gap,
            counts=self._counts(ended),
            visible_workflows=len(self._workflows),
            trouble=trouble,
        )

    def _unfinished(self) -> Iterator[Row]:
        for status in _UNFINISHED:
            for page in self._api.executions(status=status):
                yield from page

    def _ended(self, cursor: Cursor, found: _Found) -> list[Row]:
        """The rows that ended since the last poll, in ascending order of id."""
        for row in found.unfinished:
            cursor.meet(row)
        alive = {int(row["id"]) for row in found.unfinished}
        highest, ended = max(alive, default=0), []
        for row in self._newer_than(cursor.floor):
            highest = max(highest, int(row["id"]))
            if cursor.meet(row):
                ended.append(row)
            elif not has_ended(row):
                alive.add(int(row["id"]))
        ended += self._resolve(cursor, sorted(set(cursor.open) - alive), found)
        ended += self._probe(cursor, found)
        cursor.move_on(highest)
        return sorted(ended, key=lambda row: int(row["id"]))

    def _first_since(self, cursor: Cursor) -> int:
        """The highest id that began before the latest start that is known; 0 when all began later."""
        for page in self._api.executions():
            for row in page:
                start = moment(row.get("startedAt"))
                if start and cursor.latest_start and start <= cursor.latest_start:
                    return int(row["id"])
        return 0

    def _newer_than(self, floor: int) -> Iterator[Row]:
        for page in self._api.executions():
            for row in page:
                if int(row["id"]) <= floor:
                    return
                yield row

    def _resolve(self, cursor: Cursor, numbers: Iterable[int], found: _Found) -> Iterator[Row]:
        """What became of executions that no list of unfinished ones names any more."""
        for number in numbers:
            row = self._api.execution(number)
            if row is not None and cursor.meet(row):
                yield row
            elif row is None:
                # n8n was told not to save it, or it was deleted. That it ran is all that will ever be known.
                workflow = cursor.open.pop(number)
                cursor.seen.add(number)
                found.gap += workflow in self._watch(cursor).agents

    def _probe(self, cursor: Cursor, found: _Found) -> Iterator[Row]:
        """Look once at ids that no list has shown: a queue keeps some where no list looks, others are not saved."""
        unknown = cursor.never_met()
        found.gap += len(unknown[_MAX_PROBES:])
        for number in unknown[:_MAX_PROBES]:
            row = self._api.execution(number)
            if row is None:
                found.gap += 1
            elif cursor.meet(row):
                yield row

    def _counts(self, ended: Iterable[Row]) -> tuple[Count, ...]:
        """All executions that were seen to end, watched or not; every status from the start, with 0."""
        found = Counter(row["status"] for row in ended)
        return tuple(
            Count("source_executions", found[status], labels={"source": self.name, "status": status})
            for status in sorted(TERMINAL)
        )

    def _details(self, cursor: Cursor, watched: Watch, found: _Found) -> tuple[list[Call], SourceDown | None]:
        """The calls of pending rows. What cannot be read three times over is counted from its row alone."""
        calls: list[Call] = []
        for _ in range(min(len(cursor.pending), _MAX_DETAILS)):
            row = cursor.pending.pop(0)
            agent = watched.agents.get(row["workflowId"])
            if agent is None:
                continue
            origin = Origin(self.name, agent.name, self._settings.url, agent.confidence, cursor.epoch)
            try:
                calls += self._api.calls_of(row, origin, with_details=row.get("attempts", 0) < _MAX_ATTEMPTS)
            except Unreadable:
                found.gap += 1
            except SourceDown as down:
                blame = down.reason in ("server_error", "wrong_shape", "not_json", "timeout")
                cursor.pending.append(row | {"attempts": row.get("attempts", 0) + blame})
                return calls, down
        return calls, None

    def _watch(self, cursor: Cursor) -> Watch:
        watched = watch(
            self._workflows,
            self._configured,
            discover=self._settings.discover,
            exclude=self._settings.exclude,
            taken=self._taken,
            discovered=cursor.discovered,
        )
        cursor.discovered = dict(watched.discovered)
        for agent in self._configured:
            if agent.name in watched.missing:
                self._log_once.failed(f"agent {agent.name}", "workflow_not_found", source=self.name)
            else:
                self._log_once.succeeded(f"agent {agent.name}")
        return watched

    def _read_workflows(self, *, at_most_every_s: float) -> None:
        now = self._clock.monotonic()
        fresh = self._workflows_at is not None and now - self._workflows_at < at_most_every_s
        if fresh and len(self._workflows) > _SHORT_LIST:
            return
        self._workflows = self._api.workflows()
        self._workflows_at = now


def _running(unfinished: Iterable[Row], watched: Watch) -> dict[str, Running]:
    rows: dict[str, dict[str, Row]] = {agent.name: {} for agent in watched.agents.values()}
    for row in unfinished:
        if (agent := watched.agents.get(row["workflowId"])) and row.get("mode") != "manual":
            rows[agent.name][row["id"]] = row
    return {
        name: Running(
            len(found), min((at for row in found.values() if (at := moment(row.get("startedAt")))), default=None)
        )
        for name, found in rows.items()
    }

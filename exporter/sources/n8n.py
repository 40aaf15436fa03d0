"""Reads the executions of one n8n: each watched one that ends after the first start is reported, none is missed.

An answer that is not JSON means that n8n is down, never that something is gone. Details are read for watched workflows
only, because they are large and hold prompts; one after the other, so that one at a time is in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from exporter.calls import Call
from exporter.sources import Batch, Count, Gauge, SourceDown, State
from exporter.sources.n8n_api import N8nApi
from exporter.sources.n8n_changes import changes
from exporter.sources.n8n_execution import TERMINAL, Origin, Unreadable
from exporter.sources.n8n_follow import Found, follow
from exporter.sources.n8n_notices import Notices
from exporter.sources.n8n_rows import Row, is_test_run
from exporter.sources.n8n_standing import gauges, running
from exporter.sources.n8n_state import Cursor
from exporter.sources.n8n_watch import Watch, watch
from exporter.sources.n8n_workflows import Workflow
from exporter.sources.reading import moment
from handrail.agent_settings import Agent, N8nAgent
from handrail.clock import Clock
from handrail.http import HttpClient
from handrail.source_settings import N8nSource as N8nSettings

_MAX_DETAILS = 200
_MAX_ATTEMPTS = 3
# What may be the fault of one execution, in contrast to that of n8n as a whole.
_BLAMED = ("server_error", "wrong_shape", "not_json", "timeout", "wrong_id")
# The list of workflows is some 3 kB for each; a short one is read every time, a long one not more often than this.
_SHORT_LIST = 50
_WORKFLOWS_AGE_S = 10.0


class N8nSource:
    """A Source. The first poll begins at now: what has ended before is not counted, what is running then will be.

    `suffix` is appended to the names of newly discovered agents, to tell them from those of another n8n.
    """

    def __init__(
        self,
        settings: N8nSettings,
        agents: Sequence[Agent],
        clock: Clock,
        *,
        client: HttpClient,
        on_request: Callable[[str], None] = lambda _status: None,
        suffix: str = "",
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._taken = {agent.name for agent in agents}
        self._configured = [
            agent for agent in agents if isinstance(agent.source, N8nAgent) and agent.source.n8n == settings.name
        ]
        self._suffix = suffix
        self._api = N8nApi(settings, now=clock.now, client=client, on_request=on_request)
        self._notices = Notices(self.name)
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
        cursor, began = Cursor.load(state), self._clock.now()
        self._read_workflows(at_most_every_s=_WORKFLOWS_AGE_S)
        found = follow(self._api, cursor)
        if found.anew:
            self._notices.counted_anew(cursor.epoch)
        watched = self._watch(cursor)
        if any(row["workflowId"] not in {workflow.id for workflow in self._workflows} for row in found.ended):
            self._read_workflows(at_most_every_s=0.0)
            watched = self._watch(cursor)
        changed = changes(cursor.memory.known, self._workflows, watched.agents)
        cursor.memory = replace(cursor.memory, names=watched.names, found=watched.found, known=changed.known)
        self._notices.about(watched, changed, self._workflows)
        self._notices.of_statuses(row["status"] for row in cursor.open.values())
        cursor.pending += [row for row in found.ended if row["workflowId"] in watched.agents and not is_test_run(row)]
        calls, unreadable, trouble = self._details(cursor, watched)
        hidden = _hidden(found, watched)
        unfinished = list(cursor.open.values())
        return Batch(
            state=cursor.dump(),
            calls=tuple(calls),
            running=running(unfinished, watched.agents),
            agents=frozenset(watched.discovered.values()),
            enabled={watched.agents[one.id].name: one.live for one in self._workflows if one.id in watched.agents},
            gap=found.gap + hidden.total() + unreadable,
            counts=(
                *self._executions(found.ended),
                *changed.counts,
                *(Count("agent_hidden_calls", count, agent=name) for name, count in hidden.items()),
            ),
            plans={watched.agents[one.id].name: one.plan for one in self._workflows if one.id in watched.agents},
            gauges=(
                *gauges(unfinished, self._workflows, watched.agents),
                *self._skew(),
                *self._read_until(began, cursor),
            ),
            visible_workflows=len(self._workflows),
            trouble=trouble,
        )

    def _executions(self, ended: Iterable[Row]) -> Iterable[Count]:
        """All executions that were seen to end, watched or not; every status from the start, with 0."""
        found = Counter(row["status"] for row in ended)
        return (
            Count("source_executions", found[status], labels={"source": self.name, "status": status})
            for status in sorted(TERMINAL)
        )

    def _read_until(self, began: datetime, cursor: Cursor) -> Iterable[Gauge]:
        """By n8n's clock. A run whose details are still to be read is not counted yet; one without a time: unknown."""
        ends = [moment(row.get("stoppedAt")) for row in cursor.pending]
        if None not in ends:
            until = min([end for end in ends if end], default=began + (self._api.skew or timedelta(0)))
            yield Gauge("source_read_until_timestamp_seconds", until.timestamp(), {"source": self.name})

    def _skew(self) -> tuple[Gauge, ...]:
        skew = self._api.skew
        if skew is None:
            return ()
        return (Gauge("source_clock_skew_seconds", skew.total_seconds(), {"source": self.name}),)

    def _details(self, cursor: Cursor, watched: Watch) -> tuple[list[Call], int, SourceDown | None]:
        """The calls of pending rows, and how many had none that could be read, not even from the row.

        What cannot be read three times over is counted from its row alone.
        """
        calls: list[Call] = []
        unreadable = 0
        for _ in range(min(len(cursor.pending), _MAX_DETAILS)):
            row = cursor.pending.pop(0)
            agent = watched.agents.get(row["workflowId"])
            if agent is None:
                continue
            origin = Origin(
                self.name, agent.name, self._settings.url, agent.confidence, cursor.epoch, agent.transcripts
            )
            try:
                calls += self._api.calls_of(row, origin, with_details=row.get("attempts", 0) < _MAX_ATTEMPTS)
            except Unreadable:
                unreadable += 1
            except SourceDown as down:
                cursor.pending.append(row | {"attempts": row.get("attempts", 0) + (down.reason in _BLAMED)})
                return calls, unreadable, down
        return calls, unreadable, None

    def _watch(self, cursor: Cursor) -> Watch:
        return watch(
            self._workflows,
            self._configured,
            discover=self._settings.discover,
            exclude=self._settings.exclude,
            taken=self._taken,
            memory=cursor.memory,
            suffix=self._suffix,
        )

    def _read_workflows(self, *, at_most_every_s: float) -> None:
        now = self._clock.monotonic()
        fresh = self._workflows_at is not None and now - self._workflows_at < at_most_every_s
        if fresh and len(self._workflows) > _SHORT_LIST:
            return
        self._workflows = self._api.workflows()
        self._workflows_at = now


def _hidden(found: Found, watched: Watch) -> Counter[str]:
    """How many executions of each agent were seen to begin and left nothing to count."""
    agents = (watched.agents.get(row["workflowId"]) for row in found.gone if not is_test_run(row))
    return Counter(agent.name for agent in agents if agent)

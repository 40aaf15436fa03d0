"""When each agent is expected to be called, as metrics. They depend on its plan and its last call only, not on now."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from exporter.snapshot import Snapshot
from exporter.sources.n8n_schedule import cron_gap
from exporter.streaks import Streak
from handrail.schedule import Every, Schedule
from handrail.settings import Settings

NEWEST = "newest_running_call_timestamp_seconds"
_INTERVAL = "agent_schedule_interval_seconds"


def about_expectations(agents: Collection[str], snapshot: Snapshot, settings: Settings) -> Iterator[Metric]:
    """The due time and the longest planned silence of these agents."""
    due = GaugeMetricFamily(
        "handrail_agent_next_call_due_timestamp_seconds",
        "When the first call after the agent's last one is due.",
        labels=("agent", "basis"),
    )
    interval = GaugeMetricFamily(
        f"handrail_{_INTERVAL}", "The longest silence that the agent's schedule plans.", labels=("agent",)
    )
    newest = _of_agents(snapshot, NEWEST)
    gaps = _of_agents(snapshot, _INTERVAL)
    for agent in sorted(agents):
        expected, configured = snapshot.expected.get(agent), settings.agent(agent)
        if expected:
            last = max(snapshot.streaks.get(agent, Streak()).last_call, newest.get(agent, 0.0))
            if (time := expected.due_after(last)) is not None:
                due.add_metric((agent, expected.basis), time)
        declared = configured.schedule if configured else None
        if (seconds := _longest(declared) if declared else gaps.get(agent)) is not None:
            interval.add_metric((agent,), seconds)
    yield from (due, interval)


def _longest(schedule: Schedule) -> float | None:
    return schedule.interval.total_seconds() if isinstance(schedule, Every) else cron_gap(schedule.expression)


def _of_agents(snapshot: Snapshot, metric: str) -> dict[str, float]:
    found = ((dict(labels).get("agent"), value) for (name, labels), value in snapshot.gauges.items() if name == metric)
    return {agent: value for agent, value in found if agent is not None}

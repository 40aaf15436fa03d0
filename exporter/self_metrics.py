"""What the exporter says of itself: its version, its configuration, and its polls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from exporter.health import DURATION_BOUNDS_S, SourceHealth
from handrail import __version__


@dataclass(slots=True)
class Standing:
    """When this process began, and what became of its last reading of the configuration."""

    started_at: float
    reload_successful: bool = True
    reloaded_at: float = 0.0


class SelfCollector:
    """A prometheus_client collector; `sources` is asked at every scrape."""

    def __init__(self, standing: Standing, sources: Callable[[], Sequence[SourceHealth]]) -> None:
        self._standing = standing
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """All metrics as of now."""
        info = GaugeMetricFamily("handrail_build_info", "The version that runs.", labels=("version",))
        info.add_metric((__version__,), 1)
        yield info
        now = self._standing
        yield GaugeMetricFamily("handrail_start_time_seconds", "When the exporter began.", now.started_at)
        yield GaugeMetricFamily(
            "handrail_config_last_reload_successful",
            "Whether the configuration could be used when it was last read.",
            now.reload_successful,
        )
        yield GaugeMetricFamily(
            "handrail_config_last_reload_success_timestamp_seconds",
            "When a configuration that could be used was last read.",
            now.reloaded_at,
        )
        yield from self._about_polls()

    def _about_polls(self) -> Iterator[Metric]:
        polls = CounterMetricFamily(
            "handrail_source_polls", "Polls that ended, by outcome.", labels=("source", "outcome")
        )
        took = HistogramMetricFamily("handrail_poll_duration_seconds", "Time that polls took.", labels=("source",))
        bounds = [*(str(bound) for bound in DURATION_BOUNDS_S), "+Inf"]
        for health in self._sources():
            for outcome, count in health.polls.items():
                polls.add_metric((health.name, outcome), count)
            durations = health.durations
            counts = list(zip(bounds, accumulate(durations.counts), strict=True))
            took.add_metric((health.name,), counts, durations.sum_s)
        yield from (polls, took)

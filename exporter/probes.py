"""What /-/healthy and /-/ready answer, decided from what is known of the sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.health import SourceHealth


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether all is well, and the lines that say so to a person."""

    good: bool
    text: str


def readiness(sources: Sequence[SourceHealth], *, stopping: bool) -> Probe:
    """Ready once every source has answered or failed: from then on 0 means nothing happened, not that nobody looked."""
    silent = [health for health in sources if not health.polled]
    good = not silent and not stopping
    first = "ready" if good else "stopping" if stopping else "not ready: waiting for " + _names(silent)
    return Probe(good, "\n".join([first, *(f"{health.name}: {_standing(health)}" for health in sources), ""]))


def liveness(dead: Sequence[str]) -> Probe:
    """Healthy while every source has a thread that reads it; a source that is down is no reason to restart this."""
    return Probe(not dead, f"not healthy: nobody reads {', '.join(dead)} any more\n" if dead else "healthy\n")


def _names(sources: Sequence[SourceHealth]) -> str:
    return ", ".join(health.name for health in sources)


def _standing(health: SourceHealth) -> str:
    if failure := health.failure:
        return f"down, {failure.reason}: {failure.text}"
    return "up" if health.up else "not yet read"

"""Brings a simulated past into the storage of a Prometheus: what was exposed, and what the rules make of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

from exporter.history.openmetrics import Kind, OpenMetricsFile, series
from tests.alerting.dashboards.world import DAY, GATEWAY, World

WEEKS = timedelta(days=14)
# Of the weeks so far apart as Prometheus looks back for a sample, of the day as it scrapes.
COARSE_S, SCRAPE_S = 300, 15
# As often as the day, on average.
CALLS_EVERY_S, POLL_S = 7200, 300
JOBS = EXPORTER, RECEIVER, *_ = ("handrail-exporter", "handrail-receiver", "prometheus", "alertmanager")


class Scrapes:
    """Writes what is exposed, as Prometheus stores it; of all series those that `wanted` names."""

    def __init__(self, world: World, file: OpenMetricsFile, wanted: frozenset[str]) -> None:
        self._world, self._file, self._wanted = world, file, wanted
        self._up = [(Kind("up", "gauge", "Up."), series("up", target(job)), 1.0) for job in JOBS]
        self._of: dict[str, list[tuple[Kind, str, float]]] = {}

    def look(self, *jobs: str) -> None:
        """Take from these what they expose now."""
        for job in jobs:
            page = self._world.of_exporter() if job == EXPORTER else self._world.of_receiver()
            self._of[job] = [
                (Kind(each.name, "gauge", "As exposed."), series(each.name, target(job) | each.labels), each.value)
                for metric in page
                for each in metric.samples
                if each.name in self._wanted
            ]

    def until(self, moment: datetime, step_s: int) -> None:
        """Write what was taken last, and move the clock, until then."""
        while self._world.clock.now() < moment:
            at = int(self._world.clock.now().timestamp())
            for kind, name, value in chain(self._up, *self._of.values()):
                self._file.sample(kind, name, value, at)
            self._world.clock.advance(step_s)


def target(job: str) -> dict[str, str]:
    """The labels of what is scraped from there."""
    return {"job": job, "instance": f"{job}:1"}


def simulate(world: World, file: Path, wanted: frozenset[str]) -> None:
    """Two weeks with calls every two hours, then a day with calls every five minutes and all that can happen in one."""
    begun, today = world.clock.now(), world.clock.now() + WEEKS
    with OpenMetricsFile(file, step_s=SCRAPE_S) as out:
        scrapes = Scrapes(world, out, wanted)
        scrapes.look(EXPORTER, RECEIVER)
        scrapes.until(begun + timedelta(seconds=1), COARSE_S)
        while (now := world.clock.now()) < today:
            world.poll(CALLS_EVERY_S // POLL_S)
            if now.hour in (begun.hour, begun.hour - 1):
                world.hand_off(f"of {now}")
                scrapes.look(RECEIVER)
            scrapes.look(EXPORTER)
            scrapes.until(min(now + timedelta(seconds=CALLS_EVERY_S), today), COARSE_S)
        while (now := world.clock.now()) < today + DAY:
            happened = _happen(world, round((now - today) / timedelta(minutes=5)))
            scrapes.look(EXPORTER, *([RECEIVER] if happened else []))
            scrapes.until(now + timedelta(seconds=POLL_S), SCRAPE_S)
        out.finish()


def _happen(world: World, turn: int) -> bool:
    """What these five minutes of the day bring; whether the receiver had anything to do with it."""
    turns = int(DAY.total_seconds() / POLL_S)
    if turn in (140, 141):
        world.fail(GATEWAY)
    else:
        world.poll(usual=turn < turns - 6)
    happens: dict[int, Callable[[], object]] = {
        20: lambda: world.incident("firing"),
        26: lambda: world.incident("resolved"),
        80: lambda: world.switch("disable"),
        86: lambda: world.switch("enable"),
        100: world.drill,
        200: lambda: world.hand_off("of the day"),
        turns - 4: lambda: world.incident("firing"),
        turns - 3: lambda: world.switch("disable"),
        turns - 1: world.hear,
    }
    if turn not in happens:
        return turn % 12 == 0
    happens[turn]()
    return True

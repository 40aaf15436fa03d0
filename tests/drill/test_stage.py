"""The stage of a drill: waits have limits and names, and what was injected is always taken back."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from drill.probes import Addresses, ProbeFailed, Probes, planting
from drill.runner import play
from drill.scenario import Missing, Stage, Step
from drill.scenarios.token_jump import HOURLY_TOKENS, openmetrics
from handrail.http import build_client


class Silent:
    """Shows nothing."""

    def waiting(self, what: str, elapsed_s: float, within_s: float) -> None:
        """Nothing."""

    def seen(self, step: Step) -> None:
        """Nothing."""


def stage_with(clock, handler=lambda request: httpx.Response(500)) -> Stage:
    client = build_client(transport=httpx.MockTransport(handler))
    addresses = Addresses(world="http://w", prometheus="http://p", alertmanager="http://a", receiver="http://r")
    probes = Probes(client, addresses, operator_token="t", plant_history=planting(Path("promtool"), Path("data")))
    return Stage(drill_id="d1", probes=probes, clock=clock, progress=Silent())


class Story:
    """A scenario that registers two undos and then does as told."""

    name = "story"
    alertname = "AgentSlowCallStreak"
    title = "A story"

    def __init__(self, ending: BaseException | None, undone: list[str]) -> None:
        self.ending = ending
        self.undone = undone

    def play(self, stage: Stage) -> None:
        """Two undos, then the ending."""
        stage.undo_later("first", lambda: self.undone.append("first"))
        stage.undo_later("second", lambda: self.undone.append("second"))
        if self.ending:
            raise self.ending


def test_what_was_injected_last_is_undone_first(clock):
    """A scenario that passes is rolled back in reverse order."""
    undone: list[str] = []
    verdict = play(Story(None, undone), stage_with(clock))
    assert undone == ["second", "first"]
    assert verdict.passed


def test_a_missing_check_fails_the_scenario_after_the_rollback(clock):
    """The verdict says what was missing, and the rollback has run."""
    undone: list[str] = []
    verdict = play(Story(Missing("no ticket"), undone), stage_with(clock))
    assert (verdict.failure, undone) == ("no ticket", ["second", "first"])
    assert not verdict.passed


def test_ctrl_c_still_rolls_back(clock):
    """KeyboardInterrupt is passed on, but only after everything was undone."""
    undone: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        play(Story(KeyboardInterrupt(), undone), stage_with(clock))
    assert undone == ["second", "first"]


def test_a_failed_rollback_fails_the_verdict_and_does_not_stop_the_others(clock):
    """One undo that fails is named; the ones before it still run."""
    undone: list[str] = []
    stage = stage_with(clock)

    def fails() -> None:
        raise ProbeFailed("the world is gone")

    story = Story(None, undone)
    stage.undo_later("agent archived", fails)
    verdict = play(story, stage)
    assert undone == ["second", "first"]
    assert verdict.rollback_failures == ("agent archived: the world is gone",)
    assert not verdict.passed


def test_a_wait_ends_with_the_name_of_what_was_not_seen(clock):
    """The message says what was awaited, for how long, and what the part said last."""
    stage = stage_with(clock)
    with pytest.raises(Missing, match=r"not seen within 3 s: it fires \(GET http://p/.* answered HTTP 500\)"):
        stage.wait_for("it fires", lambda: stage.probes.firing("A", "b"), within_s=3)


def test_silence_is_broken_by_an_alert(clock):
    """An alert that fires during the control fails it."""
    row = {"metric": {"alertname": "A"}, "value": [0, "1"]}
    answer = {"status": "success", "data": {"result": [row]}}
    stage = stage_with(clock, lambda request: httpx.Response(200, json=answer))
    with pytest.raises(Missing, match="A fired for b although the SLA was kept"):
        stage.stays_silent("A", "b", for_s=3)


def test_planted_history_covers_each_of_the_last_seven_days_and_ends_in_the_past(clock):
    """What promtool is given: one sample each two minutes, over seven days, none of the last four hours."""
    lines = openmetrics("x", now=clock.now()).splitlines()
    stamps = [int(line.split()[-1]) for line in lines if line.startswith("agent:")]
    now = clock.now().timestamp()
    assert lines[-1] == "# EOF"
    assert min(stamps) <= now - 7 * 86400
    assert now - 4 * 3600 - 120 <= max(stamps) < now - 4 * 3600
    assert all(f" {HOURLY_TOKENS} " in line for line in lines if line.startswith("agent:"))

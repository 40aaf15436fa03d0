"""Plays scenarios one after the other on a running stack; whatever happens, each is rolled back before the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drill.probes import ProbeFailed
from drill.scenario import Missing, Scenario, Stage, Verdict


def play(scenario: Scenario, stage: Stage) -> Verdict:
    """The verdict of one scenario. KeyboardInterrupt is passed on after the rollback."""
    started_at = stage.clock.now()
    failure = None
    stage.injected("begin")
    with stage.rolling_back():
        try:
            scenario.play(stage)
        except (Missing, ProbeFailed) as error:
            failure = str(error)
    return Verdict(
        scenario=scenario.name,
        alertname=scenario.alertname,
        started_at=started_at,
        steps=tuple(stage.steps),
        detect_seconds=stage.detect_seconds,
        failure=failure,
        rollback_failures=tuple(stage.rollback_failures),
    )


def play_all(
    scenarios: Sequence[Scenario],
    *,
    stage_for: Callable[[Scenario], Stage],
    announce: Callable[[Scenario], None],
    report: Callable[[Verdict], None],
) -> list[Verdict]:
    """The verdicts of all scenarios, each reported as soon as it is known."""
    verdicts = []
    for scenario in scenarios:
        announce(scenario)
        verdict = play(scenario, stage_for(scenario))
        report(verdict)
        verdicts.append(verdict)
    return verdicts

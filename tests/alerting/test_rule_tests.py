"""The generated tests pass for the rules as they are, and fail for rules that are a little wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting.rule_tests.all import cases
from alerting.rule_tests.case import Case
from alerting.rule_tests.promtool import Verdict, verify
from handrail.profiles import PROFILES
from handrail.settings import Settings, parse
from tests.alerting.conftest import MINIMAL, version
from tests.every_limit import EVERY_LIMIT, every_limit, every_rule

pytestmark = pytest.mark.tools
Rendered = Callable[..., Path]
# Three seconds where the example says five, half the window, ten times the errors, a stricter objective.
OTHER = """
slas:
  default:
    latency: {threshold: 3s, consecutive_calls: 2, hold: 90s}
    errors: {ratio: 20%, window: 1h, min_calls: 7, min_errors: 3}
    tokens: {increase: 75%, min_tokens: 20, for: 0s}
    objective: {availability: 99.9%, window: 7d, min_calls: 3}
    percentiles: {p95: 300ms, window: 10m, min_calls: 1}
    slowdown: {increase: 37%, window: 15m, baseline_days: 4, min_calls: 1}
    cost: {increase: 50%, per_call_increase: 7%, per_day: 0.35 USD, window: 7d, min_cost: 0 USD}
"""


def rules_of(folder: Path) -> Any:
    """The rendered rules."""
    return yaml.safe_load((folder / "rules/handrail.yml").read_text())


def verdicts(promtool: Path, rules: Any, wanted: list[Case], folder: Path) -> list[Verdict]:
    """Every case tried, each in a folder of its own."""

    def one(numbered: tuple[int, Case]) -> Verdict:
        place = folder / str(numbered[0])
        place.mkdir()
        return verify(numbered[1], rules, promtool=promtool, folder=place)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, enumerate(wanted)))


@pytest.mark.slow
def test_every_claim_holds(promtool: Path, rendered: Rendered, tmp_path: Path) -> None:
    """For the default numbers and for others: fires, silent just below, resolves, no data, restart."""
    # Each version of Prometheus with other numbers; every version with every number is handrail test-rules' work.
    extra = OTHER if "3." in version(promtool) else EVERY_LIMIT
    settings = parse(MINIMAL + extra, environ={})
    found = verdicts(promtool, rules_of(rendered(extra)), list(cases(settings)), tmp_path)
    assert [(v.case.alert, v.case.kind, v.case.says, v.said) for v in found if not v.passed] == []


@pytest.mark.parametrize(("failing", "passed"), [(0, True), (1, True), (2, False)])
def test_a_case_has_failed_only_if_it_fails_again(
    rendered: Rendered, tmp_path: Path, failing: int, passed: bool
) -> None:
    """Of a promtool that fails at its first runs; the verdict keeps what it said."""
    runs = tmp_path / "runs"
    promtool = tmp_path / "promtool"
    promtool.write_text(
        f"#!/bin/sh\necho run >>'{runs}'\n[ $(wc -l <'{runs}') -gt {failing} ] || {{ echo FAILED >&2; exit 1; }}\n"
    )
    promtool.chmod(0o755)
    case = next(iter(cases(parse(MINIMAL, environ={}))))
    verdict = verify(case, rules_of(rendered()), promtool=promtool, folder=tmp_path)
    assert (verdict.passed, verdict.said) == (passed, "" if passed else "FAILED\n")
    assert len(runs.read_text().split()) == min(failing + 1, 2)


PROFILE_LIMITS = [
    ("checklist", "AgentErrorRatioHigh", "> 0.05 + 1e-9"),
    ("checklist", "AgentLatencyHigh", "> 1 + 1e-9"),
    ("checklist", "AgentCostHigh", "> 0.2 + 1e-9"),
    ("incident-response", "AgentTokenUsageHigh", "> 2 + 1e-9"),
    ("weekly-review", "AgentCostHigh", "> 0.2 + 1e-9"),
    ("weekly-monitoring", "AgentLatencyHigh", "> 0.5 + 1e-9"),
    ("weekly-monitoring", "AgentTokenUsageHigh", "> 1200"),
    ("weekly-monitoring", "AgentCostHigh", "> 20 + 1e-9"),
]


def test_every_profile_that_changes_a_limit_is_proved_here() -> None:
    """A new profile needs its row in the list above."""
    assert {name for name, _, _ in PROFILE_LIMITS} == {name for name, limits in PROFILES.items() if limits}


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "alert", "limit"), PROFILE_LIMITS)
def test_the_numbers_of_a_profile_hold(
    promtool: Path, rendered: Rendered, tmp_path: Path, profile: str, alert: str, limit: str
) -> None:
    """Exactly its limit is silent and one event more fires, as handrail test-rules proves of a team's own file."""
    extra = f"slas: {{default: {{profile: {profile}}}}}"
    rules = rules_of(rendered(extra))
    about = [case for case in cases(parse(MINIMAL + extra, environ={})) if case.alert == alert]
    assert {"fires", "just below", "resolves"} <= {case.kind for case in about}
    found = verdicts(promtool, rules, about, tmp_path)
    assert [(v.case.kind, v.case.says, v.said) for v in found if not v.passed] == []
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"] if rule.get("alert") == alert]
    assert any(limit in expression for expression in expressions)


def test_every_alert_is_claimed_to_fire_to_stay_silent_and_to_resolve(root: Path) -> None:
    """An alert without its tests is not a tested alert; the watchdog alone has no limit to stay below."""
    alerts = {rule.name for rule in every_rule(root).alerts}
    claimed = {(case.alert, case.kind) for case in cases(every_limit(root))}
    # Those that are off by default too, and each variant of them: a claim is about one.
    variants = {
        (rule.name, rule.labels.get("limit"), rule.labels.get("per"))
        for rule in every_rule(root).alerts
        if rule.name in ("AgentLatencyHigh", "AgentCostHigh", "AgentTokenUsageHigh")
    }
    proved = {
        (case.alert, case.subject.get("limit") or None, case.subject.get("per"))
        for case in cases(every_limit(root))
        if case.kind == "just below"
    }
    assert variants <= proved
    for alert in alerts - {"HandrailWatchdog"}:
        missing = {"fires", "just below", "resolves", "no data", "restart"} - {
            kind for name, kind in claimed if name == alert
        }
        assert not missing, f"{alert}: no test {sorted(missing)}"


MUTATIONS = [
    pytest.param("AgentErrorRatioHigh", "> 0.02", ">= 0.02 - 1e-8 +", id="errors"),
    pytest.param("AgentSlowCallStreak", "< 300", "< 1e9", id="slow calls", marks=pytest.mark.slow),
    pytest.param("AgentTokenUsageHigh", "> 0.3 + 1e-9", "> 0.2999", id="tokens", marks=pytest.mark.slow),
    pytest.param("AgentErrorBudgetBurn", "(5.6 *", "(5.5 *", id="budget", marks=pytest.mark.slow),
    pytest.param("AgentLatencyHigh", "> 0.05 + 1e-9", "> 0.0499", id="p95"),
    pytest.param("AgentLatencyHigh", '"8(\\\\.0)?"', '"5.0"', id="the bucket of p95", marks=pytest.mark.slow),
    pytest.param("AgentLatencyHigh", "> 1 + 1e-9", "> 0.9999", id="slower than usual", marks=pytest.mark.slow),
    pytest.param("AgentCostHigh", "> 0.2 + 1e-9", "> 0.1999", id="cost", marks=pytest.mark.slow),
    pytest.param("AgentCostHigh", "> 20 + 1e-9", "> 19.99", id="cost of a day", marks=pytest.mark.slow),
    pytest.param("AgentTokenUsageHigh", "> 1200", "> 1199", id="tokens of a call", marks=pytest.mark.slow),
    pytest.param("AgentSilent", "> 900", "> 890", id="silent by schedule", marks=pytest.mark.slow),
    pytest.param("AgentSilent", "increase1h > 9.5", "increase1h > 8.5", id="silent by history", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("alert", "right", "wrong"), MUTATIONS)
def test_a_rule_that_is_a_little_wrong_fails_its_test(
    promtool: Path, rendered: Rendered, tmp_path: Path, alert: str, right: str, wrong: str
) -> None:
    """The tests are about the numbers: a limit moved by a hair does not pass."""
    if "3." in version(promtool):
        pytest.skip("one version is enough to try the tests themselves")
    folder = rendered(EVERY_LIMIT)
    text = (folder / "rules/handrail.yml").read_text()
    assert right in text
    settings: Settings = parse(MINIMAL + EVERY_LIMIT, environ={})
    about = [case for case in cases(settings) if case.alert == alert and case.kind in ("just below", "resolves")]
    assert any(not v.passed for v in verdicts(promtool, yaml.safe_load(text.replace(right, wrong)), about, tmp_path))

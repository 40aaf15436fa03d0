"""The rules as Prometheus' own checker sees them, on every version found."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.tools
# Their series are days long.
SLOW = {"token_usage", "n8n_crosscheck"}
RULE_TESTS = [
    pytest.param(path, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
    for path in sorted((Path(__file__).parents[1] / "rules").glob("*.test.yml"))
    for name in [path.name.removesuffix(".test.yml")]
]
Rendered = Callable[..., Path]


def check(*command: object) -> None:
    """Run a checker; what it says is the failure's text."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_rule_tests() -> None:
    """A moved folder must not pass as no tests."""
    assert len(RULE_TESTS) >= 4


def test_rules_have_no_fault_and_no_lint(promtool: Path, root: Path) -> None:
    """Valid on this version; no rule stands twice."""
    check(promtool, "check", "rules", "--lint=all", "--lint-fatal", root / "alerting/rendered/rules/handrail.yml")


def test_prometheus_configuration_is_valid(promtool: Path, root: Path) -> None:
    """Including the path of its rules."""
    check(promtool, "check", "config", root / "alerting/rendered/prometheus.yml")


@pytest.mark.parametrize("path", RULE_TESTS)
def test_alerts_fire_stay_silent_and_resolve(promtool: Path, path: Path, tmp_path: Path) -> None:
    """Every alert fires, is silent just below its limit, and resolves."""
    test = yaml.safe_load(path.read_text())
    rules = yaml.safe_load((path.parent / test["rule_files"][0]).read_text())
    # Days of history are walked through step by step: only the groups that the test names are evaluated each time.
    rules["groups"] = [group for group in rules["groups"] if group["name"] in test["group_eval_order"]]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    (tmp_path / path.name).write_text(path.read_text().replace(test["rule_files"][0], "rules.yml"))
    check(promtool, "test", "rules", tmp_path / path.name)


def agent_series(agent: str, sla: str, *, calls: int, errors: int) -> list[dict[str, str]]:
    """An agent of an SLA that stands at 0 and after a minute has made so many calls."""
    labels = f'agent="{agent}", job="handrail-exporter", instance="x"'
    return [
        {"series": f'handrail_agent_info{{{labels}, sla="{sla}", owner="o"}}', "values": "1x40"},
        {"series": f"handrail_ended_calls_total{{{labels}}}", "values": f"0x3 {calls}x40"},
        {"series": f'handrail_call_errors_total{{{labels}, reason="other"}}', "values": f"0x3 {errors}x40"},
    ]


def firing(agent: str, sla: str) -> dict[str, object]:
    """The sample of a firing AgentErrorRatioHigh."""
    labels = f'alertname="AgentErrorRatioHigh", alertstate="firing", severity="critical", owner="o", sla="{sla}"'
    return {"labels": f'ALERTS{{{labels}, agent="{agent}"}}', "value": 1}


def error_alerts(promtool: Path, folder: Path, series: list[dict[str, str]], expected: list[dict[str, object]]) -> None:
    """Which error alerts are there five minutes in, with the rules of `folder`."""
    up = {"series": 'up{job="handrail-exporter", instance="x"}', "values": "1x40"}
    case = {
        "interval": "15s",
        "input_series": [up, *series],
        "promql_expr_test": [
            {"expr": 'ALERTS{alertname="AgentErrorRatioHigh"}', "eval_time": "5m", "exp_samples": expected}
        ],
    }
    groups = yaml.safe_load((folder / "rules/handrail.yml").read_text())["groups"]
    document = {
        "rule_files": ["rules/handrail.yml"],
        "group_eval_order": [group["name"] for group in groups],
        "evaluation_interval": "15s",
        "tests": [case],
    }
    (folder / "case.test.yml").write_text(yaml.safe_dump(document))
    check(promtool, "test", "rules", folder / "case.test.yml")


def test_guards_hold_back_until_the_number_is_reached(promtool: Path, rendered: Rendered) -> None:
    """min_calls 20 and min_errors 3: 19 calls, or 2 errors, are silent; 20 calls with 3 errors fire."""
    folder = rendered("slas: {default: {errors: {min_calls: 20, min_errors: 3}}}")
    series = [
        *agent_series("calls-19", "default", calls=19, errors=3),
        *agent_series("errors-2", "default", calls=20, errors=2),
        *agent_series("enough", "default", calls=20, errors=3),
    ]
    error_alerts(promtool, folder, series, [firing("enough", "default")])


def test_an_agent_is_held_to_its_own_sla_only(promtool: Path, rendered: Rendered) -> None:
    """3 % errors break 2 % and keep 10 %, whichever of the two is asked first."""
    folder = rendered("slas: {default: {}, lenient: {errors: {ratio: 10%, window: 30m}}}")
    series = [
        *agent_series("strict-3", "default", calls=100, errors=3),
        *agent_series("lenient-3", "lenient", calls=100, errors=3),
        *agent_series("lenient-11", "lenient", calls=100, errors=11),
    ]
    error_alerts(promtool, folder, series, [firing("strict-3", "default"), firing("lenient-11", "lenient")])


def test_rules_of_unusual_numbers_are_valid(promtool: Path, rendered: Rendered) -> None:
    """No floor, no delay, parts of a second, two weeks: all are PromQL."""
    folder = rendered(
        "slas: {default: {latency: {threshold: 1500ms, consecutive_calls: 1, hold: 2500ms},"
        " tokens: {min_tokens: 0, for: 0s, baseline_days: 14, increase: 0%}}, other.sla_1: {errors: {window: 1h30m}}}"
    )
    check(promtool, "check", "rules", "--lint=all", "--lint-fatal", folder / "rules/handrail.yml")

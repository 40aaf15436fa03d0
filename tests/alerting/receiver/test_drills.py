"""Drills that are reported to the receiver show as a metric and in the audit."""

from __future__ import annotations

import pytest

from alerting.receiver.schema import audit, drills
from tests.alerting.receiver.conftest import Bench

REPORT = {
    "drill": "a1b2c3",
    "scenarios": [
        {"scenario": "slow-calls", "alertname": "AgentSlowCallStreak", "passed": True, "detect_seconds": 9.5},
        {"scenario": "error-rate", "alertname": "AgentErrorRatioHigh", "passed": False, "detect_seconds": None},
    ],
}
SLOW = 'handrail_drill_last_success_timestamp_seconds{alertname="AgentSlowCallStreak",scenario="slow-calls"}'
ERRORS = 'handrail_drill_last_success_timestamp_seconds{alertname="AgentErrorRatioHigh",scenario="error-rate"}'


def metric(bench: Bench, name: str) -> float:
    """The value of one series."""
    lines = bench.client.get("/metrics").text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_a_passed_scenario_shows_when_and_a_failed_one_never(bench: Bench) -> None:
    """Only success counts, and it stays what it was when a later drill fails."""
    assert bench.operate("POST", "/v1/drills", json=REPORT).status_code == 200
    passed_at = bench.clock.now().timestamp()
    assert metric(bench, SLOW) == passed_at
    assert metric(bench, ERRORS) == 0
    bench.clock.advance(3600)
    again = {"drill": "d4", "scenarios": [REPORT["scenarios"][0] | {"passed": False}]}
    assert bench.operate("POST", "/v1/drills", json=again).status_code == 200
    assert metric(bench, SLOW) == passed_at


def test_a_report_survives_a_restart_and_is_audited(bench: Bench) -> None:
    """The audit says how many passed and how many failed."""
    bench.operate("POST", "/v1/drills", json=REPORT)
    bench.restart()
    assert metric(bench, SLOW) > 0
    (row,) = [row for row in bench.rows(audit) if row.action == "drill reported"]
    assert (row.subject, row.detail) == ("drill/a1b2c3", '{"failed":1,"passed":1}')


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"drill": "a"}, "scenarios: Field required"),
        (REPORT | {"drill": "<b>"}, "drill: String should match pattern"),
        (REPORT | {"more": 1}, "more: Extra inputs are not permitted"),
        ([], "the body: Input should be an object"),
    ],
)
def test_a_malformed_report_is_refused_and_says_why(bench: Bench, body: object, says: str) -> None:
    """Nothing of it is stored."""
    answer = bench.operate("POST", "/v1/drills", json=body)
    assert answer.status_code == 400
    assert says in answer.json()["error"]
    assert bench.rows(drills) == []


def test_only_the_operator_reports_drills(bench: Bench) -> None:
    """A forged report would hide an alert that does not work."""
    assert bench.client.post("/v1/drills", json=REPORT).status_code == 401

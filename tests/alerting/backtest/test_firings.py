"""When an alert fires is what Prometheus itself makes of the same results."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting.backtest.firings import Firing, firings, summary, together

STEP, STEPS = 60_000, 24
WAITS = [(for_, keep) for for_, keep in product((0, 60, 90, 180), (0, 60, 150))]
# Rows of some length, as results come in rows; a single one and a single gap are among them.
SERIES = st.lists(st.integers(1, 6), min_size=6, max_size=16).map(
    lambda rows: "".join(str(i % 2) * length for i, length in enumerate(rows))[:STEPS].ljust(STEPS, "0")
)


def expected(series: str, for_s: int, keep_s: int) -> list[bool]:
    """By evaluation, whether it fires."""
    results = [i * STEP for i, value in enumerate(series) if value == "1"]
    last = (STEPS - 1) * STEP
    found = list(firings(results, last=last, step=STEP, for_=for_s * 1000, keep_firing_for=keep_s * 1000))
    return [any(one.begins <= i * STEP < one.ends + one.open for one in found) for i in range(STEPS)]


@pytest.mark.tools
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases=st.lists(SERIES, min_size=8, max_size=8, unique=True))
def test_firings_are_those_of_prometheus(promtool: Path, tmp_path: Path, cases: list[str]) -> None:
    """For any results and any for and keep_firing_for, whole steps or not."""
    rules = [
        {"alert": f"For{for_}Keep{keep}", "expr": "seen == 1", "for": f"{for_}s", "keep_firing_for": f"{keep}s"}
        for for_, keep in WAITS
    ]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "any", "rules": rules}]}))
    fires = {(w, case): expected(cases[case], *w) for w in WAITS for case in range(len(cases))}
    moments = [
        {
            "expr": 'ALERTS{alertstate="firing"}',
            "eval_time": f"{i}m",
            "exp_samples": [
                {
                    "labels": f'ALERTS{{alertname="For{for_}Keep{keep}",alertstate="firing",case="{case}"}}',
                    "value": 1,
                }
                for ((for_, keep), case), firing in fires.items()
                if firing[i]
            ],
        }
        for i in range(STEPS)
    ]
    series = [{"series": f'seen{{case="{case}"}}', "values": " ".join(values)} for case, values in enumerate(cases)]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": moments}
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "test.yml").write_text(json.dumps(document))
    done = subprocess.run(
        [promtool, "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[:2000]


@pytest.mark.parametrize(
    ("series", "for_s", "keep_s", "fires"),
    [
        ("0111000", 0, 0, [(1, 4)]),
        ("0111000", 120, 0, [(3, 4)]),
        ("0111000", 180, 0, []),
        ("0110110", 0, 60, [(1, 7)]),
        ("0100010", 0, 60, [(1, 3), (5, 7)]),
    ],
    ids=["at once", "after for", "not long enough", "kept over a gap", "a gap too long"],
)
def test_what_for_and_keep_firing_for_do(series: str, for_s: int, keep_s: int, fires: list[tuple[int, int]]) -> None:
    """In evaluations, one a minute."""
    results = [i * STEP for i, value in enumerate(series) if value == "1"]
    found = firings(results, last=20 * STEP, step=STEP, for_=for_s * 1000, keep_firing_for=keep_s * 1000)
    assert [(one.begins // STEP, one.ends // STEP) for one in found] == fires


def test_what_fires_at_the_last_evaluation_is_open() -> None:
    """Its length is what is known of it."""
    assert list(firings([60_000, 120_000], last=120_000, step=60_000)) == [Firing(60_000, 120_000, open=True)]


def test_a_team_hears_of_overlapping_firings_once() -> None:
    """Two paces of one alert are one, and what is back within a quarter of an hour is a flap."""
    minute = 60_000
    each = [Firing(0, 10 * minute), Firing(5 * minute, 12 * minute), Firing(20 * minute, 21 * minute)]
    each.append(Firing(40 * minute, 41 * minute, open=True))
    merged = together(reversed(each))
    assert [(one.begins // minute, one.ends // minute, one.open) for one in merged] == [
        (0, 12, False),
        (20, 21, False),
        (40, 41, True),
    ]
    told = summary(merged)
    assert (told.fired, told.total, told.longest) == (3, timedelta(minutes=14), timedelta(minutes=12))
    assert told.flaps == 1
    assert summary([]).longest == timedelta()

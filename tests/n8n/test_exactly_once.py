"""What a real n8n counts of itself and what Handrail counts are the same number, also when the exporter is killed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.n8n


def test_an_exporter_killed_while_calls_run_counts_each_once(line, wait_for):
    """kill -9 with calls under way, which end while it is away: after its restart each is there, and once."""
    wait_for("the agent is watched", lambda: line.ended("counted-agent")[0] is not None)
    before = line.ended("counted-agent")[0]
    line.llm.faults.set("slow", seconds=300)
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(line.n8n.call, "counted") for _ in range(4)]
        try:
            wait_for("they run", lambda: line.value("handrail_running_calls", agent="counted-agent") == 4)
            line.kill_exporter()
        finally:
            line.llm.faults.clear()
        assert {answer.result().status_code for answer in answers} == {200}

    def counted() -> float | None:
        try:
            return line.ended("counted-agent")[0]
        except httpx.TransportError:
            return None

    wait_for("it is back and has counted them", lambda: counted() == before + 4)
    assert line.n8n.call("counted").status_code == 200
    wait_for("one more, and none twice", lambda: counted() == before + 5)


def test_n8n_counts_what_handrail_counts(line, wait_for):
    """Every execution that n8n ended was seen or is known to be missing, and Prometheus says how many are missing."""
    wait_for("the agent is watched", lambda: line.ended("hidden-agent")[0] is not None)
    assert line.n8n.call("hidden").status_code == 200
    assert line.n8n.call("counted").status_code == 200

    def agree() -> bool:
        return ended(line.n8n.metrics()) == seen(line) + line.value("handrail_source_coverage_gap_calls")

    wait_for("both agree", agree)
    missing = line.value("handrail_source_coverage_gap_calls")
    assert missing >= 1
    wait_for(
        "Prometheus agrees",
        lambda: line.query('source:handrail_n8n_executions_unseen:increase1h{source="n8n/main"}') == missing,
    )


def ended(text: str) -> float:
    """What n8n itself counted; failed includes canceled."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    counters = [families[name] for name in ("n8n_workflow_success", "n8n_workflow_failed") if name in families]
    return sum(sample.value for family in counters for sample in family.samples)


def seen(line) -> float:
    """What the exporter saw of that."""
    return sum(
        line.value("handrail_source_executions_total", status=status) or 0
        for status in ("success", "error", "canceled")
    )

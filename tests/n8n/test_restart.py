"""A real n8n that dies: it is down and not empty, and what it was doing is counted as what n8n makes of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

pytestmark = pytest.mark.n8n


def test_an_n8n_that_crashed_is_down_until_it_is_back_and_its_call_has_crashed(line, wait_for):
    """While it is away and while it starts the source is down; then the call that ran is crashed, once, and no gap."""
    wait_for("the agent is watched", lambda: line.ended("crashing-agent") == (0, 0))
    gap = line.value("handrail_source_coverage_gap_calls")
    line.llm.faults.set("slow", seconds=300)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(line.n8n.call, "crashing")
        try:
            wait_for("it runs", lambda: line.value("handrail_running_calls", agent="crashing-agent") == 1)
            line.n8n.kill()
        finally:
            line.llm.faults.clear()
        assert isinstance(answer.exception(), httpx.TransportError)
    wait_for("the source is down", lambda: line.value("handrail_source_up") == 0)
    assert line.ended("crashing-agent") == (0, 0)
    line.n8n.start()
    wait_for("the source is up", lambda: line.value("handrail_source_up") == 1)
    wait_for("the crash", lambda: line.ended("crashing-agent") == (0, 1))
    assert line.value("handrail_call_errors_total", agent="crashing-agent", reason="crashed") == 1
    assert line.n8n.call("crashing").status_code == 200
    wait_for("a good call, and the crash not twice", lambda: line.ended("crashing-agent") == (1, 1))
    assert line.value("handrail_source_coverage_gap_calls") == gap

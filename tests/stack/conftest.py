"""What the tests of the stack share: waiting for a condition, and plans of small children."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

import pytest

from stack.plan import Part, Plan


def wait_until(condition: Callable[[], object], *, timeout_s: float = 20.0) -> None:
    """Returns as soon as the condition holds; fails the test when it never does."""
    pause, deadline = threading.Event(), time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        pause.wait(0.02)


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for a condition."""
    return wait_until


@pytest.fixture
def plan_of() -> Callable[..., Plan]:
    """Makes a plan whose parts run these Python programs, by name."""

    def make(**programs: str) -> Plan:
        parts = tuple(
            Part(name, (sys.executable, "-S", "-c", code), f"127.0.0.1:{port}", "/-/healthy", f"{name}.listen")
            for port, (name, code) in enumerate(programs.items(), start=1)
        )
        return Plan(parts=parts, digest="d1", config="/somewhere/handrail.yaml", simulated=True)

    return make

"""Logs are JSON lines, and a failure is said when it begins and when it ends."""

from __future__ import annotations

import io
import json

from handrail import logs


def test_a_failure_that_repeats_is_logged_once():
    """Once when it begins, once when its reason changes, once when it ends."""
    stream = io.StringIO()
    logs.configure(stream)
    log_once = logs.LogOnce(logs.get_logger("exporter"))
    for reason in ("timeout", "timeout", "unauthorized"):
        log_once.failed("n8n/main", reason)
    log_once.succeeded("n8n/main")
    log_once.succeeded("n8n/main")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line.get("reason") or line.get("after")) for line in lines] == [
        ("failed", "timeout"),
        ("failed", "unauthorized"),
        ("recovered", "unauthorized"),
    ]
    assert {line["part"] for line in lines} == {"exporter"}

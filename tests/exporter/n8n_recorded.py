"""Recordings of a real n8n."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from drill.simulators.wire import Response, json_response
from exporter.calls import Call
from exporter.sources.n8n_execution import Origin, calls_of

ORIGIN = Origin("n8n/main", "a", base_url="https://n8n.example.com", confidence="$.confidence")


def recorded(contracts: Path, name: str) -> Any:
    """What n8n answered: the body of a recording, or the first of several."""
    content = json.loads((contracts / "n8n" / f"{name}.json").read_text())
    if isinstance(content, list):
        return content[0]
    return content.get("body", content)


def answered(contracts: Path, name: str) -> Response:
    """A recorded answer as it came over the wire: its status and body."""
    content = json.loads((contracts / "n8n" / f"{name}.json").read_text())
    return json_response(content["body"], content["status"])


def runs_of(execution: Any) -> dict[str, list[Any]]:
    """The runs of an execution by node."""
    runs: dict[str, list[Any]] = execution["data"]["resultData"]["runData"]
    return runs


def only_call(execution: Any, origin: Origin = ORIGIN) -> Call:
    """The one call that an execution made."""
    (call,) = calls_of(execution, origin)
    return call

"""Grafana's own model of a dashboard knows every key of ours: read by it and written again, none is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.alerting.dashboards.boards import boards

BOARDS = boards()
# Keys that Grafana reads and that model lacks, and why they are there.
UNKNOWN_TO_THE_MODEL = {
    key: "the annotations of the Prometheus data source have it, the model has those of all data sources in common"
    for key in ("titleFormat", "textFormat", "tagKeys", "step", "useValueForTime")
}


def lost(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """The path of everything in `before` that `after` lacks or has as another value."""
    match before, after:
        case dict(), dict():
            for key, value in before.items():
                yield from lost(value, after[key], f"{where}.{key}") if key in after else [f"{where}.{key}"]
        case list(), list() if len(before) == len(after):
            for number, (one, other) in enumerate(zip(before, after, strict=True)):
                yield from lost(one, other, f"{where}[{number}]")
        case _ if before != after:
            yield f"{where}: {before!r} became {after!r}"


def round_trip(board: dict[str, Any]) -> Any:
    """Through the model of Grafana 13."""
    register_default_plugins()
    return json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(board)))


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_no_key_is_lost(name: str) -> None:
    """A key that Grafana does not know does nothing, and nobody notices."""
    board = dict(BOARDS[name])
    found = [path for path in lost(board, round_trip(board)) if path.rpartition(".")[2] not in UNKNOWN_TO_THE_MODEL]
    assert found == []


def test_a_misspelt_key_is_found() -> None:
    """The test can fail."""
    board = dict(BOARDS["overview.json"]) | {"timezon": ""}
    assert ".timezon" in list(lost(board, round_trip(board)))
    annotations = [path for path in lost(board, round_trip(board)) if path.startswith(".annotations")]
    assert {path.rpartition(".")[2] for path in annotations} == set(UNKNOWN_TO_THE_MODEL)

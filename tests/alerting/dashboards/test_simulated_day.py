"""On a real Prometheus after a simulated day and the weeks before every panel has data, and what it shows is true."""

from __future__ import annotations

import math
import os
import shutil
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from exporter.calls import Call
from exporter.counts import duration_bounds
from stack.tools import ToolMissing
from stack.tools import find as find_tool
from tests.alerting.dashboards.boards import EVERYTHING, Query, boards, every_query, panels, queries
from tests.alerting.dashboards.living import Asked, living
from tests.alerting.dashboards.recorded import running
from tests.alerting.dashboards.simulated import Past, newest, simulated
from tests.alerting.dashboards.world import GATEWAY, N8N, NAMES, SLOW, SWITCHED, world
from tests.alerting.running_alertmanager import until

pytestmark = [pytest.mark.slow, pytest.mark.tools]

# A rate needs two scrapes, a notification a second or two.
WITHIN_S = 60
WEEK = timedelta(days=7)
# Of an agent behind a gateway, by the end of the query's name.
ONLY_N8N = (
    "agent / Running for / A",
    "agent / Next call due / A",
    "agent / Executions that run, wait or are queued / A",
    "agent / Executions that run, wait or are queued / B",
    "agent / Executions that run, wait or are queued / C",
    "agent / How long the oldest execution has been running / A",
)


@pytest.fixture(scope="module")
def alertmanager(root: Path) -> Path:
    """Any."""
    try:
        return find_tool("alertmanager", state=root / ".handrail")
    except ToolMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """Of all agents."""
    with simulated(tmp_path_factory.mktemp("past")) as made:
        yield made


def wait(ask: Asked, waited: list[Query]) -> None:
    """Until each has data."""
    deadline = time.monotonic() + WITHIN_S
    while waited := [query for query in waited if not ask(query, time.time())]:
        assert time.monotonic() < deadline, [query.where for query in waited]
        threading.Event().wait(1)


def test_every_panel_has_data_that_is_true_of_all_agents_and_of_each(
    past: Past, prometheus_program: Path, alertmanager: Path, tmp_path: Path
) -> None:
    """There is no exception; and whatever an agent is called, it can be chosen, alone and beside others."""
    # Blocks never change, and another Prometheus is to find them as well.
    blocks = [block for block in past.storage.iterdir() if (block / "meta.json").exists()]
    for block in blocks:
        shutil.copytree(block, tmp_path / "data" / block.name, copy_function=os.link)
    with living(past.world, prometheus_program, alertmanager, tmp_path / "data", tmp_path) as ask:
        wait(ask, past.queries)
        for query in past.queries:
            assert_numbers(query, ask(query, time.time()))
        compare(past, ask)
        choose(past, ask)


def assert_numbers(query: Query, found: list[dict[str, Any]]) -> None:
    """Neither infinite nor NaN, which Grafana would show as such."""
    values = [value for row in found for _, value in ([row["value"]] if query.instant else row["values"])]
    assert [value for value in values if not math.isfinite(float(value))] == [], query.where


def compare(past: Past, ask: Asked) -> None:
    """The weekly review against the calls that were made."""
    query = {each.where.removeprefix("Handrail: weekly review / "): each for each in past.queries}

    def shown(where: str) -> dict[str, float]:
        found = ask(query[where], past.ends.timestamp())
        return {row["metric"]["agent"]: float(row["value"][1]) for row in found}

    def of_week(agent: str, weeks_ago: int = 0) -> list[Call]:
        end = past.ends - weeks_ago * WEEK
        return [call for call in past.world.calls if call.agent == agent and end - WEEK < call.finished_at <= end]

    def failed(calls: list[Call]) -> float:
        return sum(call.outcome == "error" for call in calls) / len(calls)

    calls, share, change = (shown(f"Was the SLA kept? / {letter}") for letter in "ABC")
    tokens_per_call, cost = shown("What did they use? / B"), shown("What did they use? / D")
    everywhere = [name for names in NAMES.values() for name in names]
    assert set(calls) == set(share) == set(change) == set(tokens_per_call) == set(everywhere)
    assert set(cost) == set(NAMES[GATEWAY])
    for agent in everywhere:
        assert calls[agent] == len(of_week(agent))
        assert share[agent] == pytest.approx(failed(of_week(agent)))
        used = [call.tokens for call in of_week(agent) if call.tokens.basis != "unknown"]
        of_all = sum((each.tokens_in or 0) + (each.tokens_out or 0) for each in used)
        assert tokens_per_call[agent] == pytest.approx(of_all / len(used))
        assert change[agent] == pytest.approx(failed(of_week(agent)) - failed(of_week(agent, 1)), abs=1e-9)
    bounds = [0.0, *duration_bounds(past.world.bench.settings), math.inf]
    for quantile, letter in ((0.5, "E"), (0.95, "F")):
        took = shown(f"Was the SLA kept? / {letter}")
        assert set(took) == set(everywhere)
        for agent in everywhere:
            durations = sorted(call.duration.total_seconds() for call in of_week(agent))
            true = durations[math.ceil(quantile * len(durations)) - 1]
            # Of the histogram no more is known than the bucket.
            assert bisect_left(bounds, took[agent]) == bisect_left(bounds, true), (agent, quantile)
    for agent in cost:
        assert cost[agent] == pytest.approx(float(sum(call.cost_usd or 0 for call in of_week(agent))))


def choose(past: Past, ask: Asked) -> None:
    """Each agent alone, and two of them: what is shown of agents is of those, and as much of it as with all."""
    now = time.time()

    def shown(query: Query, *names: str) -> set[str]:
        found = ask(query, now, EVERYTHING | ({"agent": names} if names else {}))
        return {row["metric"].get("agent", "") for row in found} - {""}

    for query in past.queries:
        if "agent" in query.expr and "/ variable" not in query.where:
            everywhere = shown(query)
            for chosen in ([name] for names in NAMES.values() for name in names):
                assert shown(query, *chosen) == everywhere & set(chosen), (query.where, chosen)
            both = (NAMES[N8N][1], NAMES[GATEWAY][1])
            assert shown(query, *both) == everywhere & set(both), query.where


def test_one_agent_is_enough(alertmanager: Path, tmp_path: Path) -> None:
    """All panels but those that only n8n can fill have data."""
    with (
        simulated(tmp_path, {N8N: (), GATEWAY: (SWITCHED,)}) as past,
        living(past.world, newest("prometheus"), alertmanager, past.storage, tmp_path / "living") as ask,
    ):
        wait(ask, [query for query in past.queries if query.where.removeprefix("Handrail: ") not in ONLY_N8N])
        for query in past.queries:
            found = ask(query, time.time())
            assert {row["metric"].get("agent", SWITCHED) for row in found} <= {SWITCHED, ""}, query.where
            assert not found or query.where.removeprefix("Handrail: ") not in ONLY_N8N, query.where


def test_without_any_history_every_panel_says_why_it_is_empty(prometheus_program: Path, tmp_path: Path) -> None:
    """No number stands where nothing is known, not even 0."""
    (tmp_path / "prometheus.yml").write_text("{}")
    with running(prometheus_program, tmp_path / "data", tmp_path / "prometheus.yml") as client:
        ask = Asked(client)
        assert [query.where for query in every_query() if ask(query, time.time())] == []
    for board in boards().values():
        for panel in panels(board):
            assert len(panel["fieldConfig"]["defaults"]["noValue"].split()) > 1, panel["title"]


def test_prometheus_that_has_just_begun_shows_what_there_is_and_invents_nothing(
    prometheus_program: Path, alertmanager: Path, tmp_path: Path
) -> None:
    """The agents and how they are; no comparison, no rate of what nobody saw, and nothing that is no number."""
    (tmp_path / "world").mkdir()
    with world(tmp_path / "world", datetime.now(UTC) - timedelta(minutes=1)) as made:
        made.poll(5)
        # The exporter is older than this Prometheus: another one, or a person, has seen its counters begin.
        made.of_exporter()
        storage = tmp_path / "data"
        with living(made, prometheus_program, alertmanager, storage, tmp_path / "living") as ask:
            query = {each.where.removeprefix("Handrail: "): each for each in every_query()}
            wait(ask, [query[f"overview / Every agent, the worst first / {letter}"] for letter in "ABG"])
            for each in query.values():
                assert_numbers(each, ask(each, time.time()))
            compared = ["Was the SLA kept? / C", "What did they use? / C", "What did they use? / F"]
            assert [where for where in compared if ask(query[f"weekly review / {where}"], time.time())] == []
            calls_of_week = query["weekly review / Was the SLA kept? / A"]
            wait(ask, [calls_of_week])
            of_week = {row["metric"]["agent"]: row["value"][1] for row in ask(calls_of_week, time.time())}
            assert of_week == dict.fromkeys(chain(*NAMES.values()), "0"), "what was counted before is of no known week"


def test_an_agent_that_begins_to_fail_goes_to_the_top_of_the_overview(alertmanager: Path, tmp_path: Path) -> None:
    """The first row, in the order in which the table shows them, is the one that failed, and its state is a word."""
    (board,) = (each for each in boards().values() if each["uid"] == "handrail-overview")
    (table,) = (panel for panel in panels(board) if panel["title"] == "Every agent, the worst first")
    (names,) = (each["options"]["renameByName"] for each in table["transformations"] if each["id"] == "organize")
    query = {each.where.rpartition(" / ")[2]: each for each in queries(board) if table["title"] in each.where}

    def rows(ask: Asked) -> list[dict[str, str]]:
        merged: dict[str, dict[str, str]] = defaultdict(dict)
        now = time.time()
        for letter, each in query.items():
            for row in ask(each, now):
                merged[row["metric"]["agent"]][names.get(f"Value #{letter}", letter)] = row["value"][1]
        found = [columns | {"Agent": agent} for agent, columns in merged.items()]
        for by in reversed(table["options"]["sortBy"]):
            found.sort(key=lambda row: float(row.get(by["displayName"], "inf")), reverse=by["desc"])
        return found

    def all_known(ask: Asked) -> list[dict[str, str]]:
        found = rows(ask)
        return found if sum("State" in row for row in found) == len([*chain(*NAMES.values())]) else []

    def one_broken(ask: Asked) -> list[dict[str, str]]:
        found = rows(ask)
        return found if word(table, "State", found[0].get("State", "")) == "Broken" else []

    (tmp_path / "world").mkdir()
    with (
        world(tmp_path / "world", datetime.now(UTC) - timedelta(minutes=1)) as made,
        living(made, newest("prometheus"), alertmanager, tmp_path / "data", tmp_path / "living") as ask,
    ):
        made.poll()
        begun = until(lambda: all_known(ask), "the state of every agent", seconds=WITHIN_S)
        assert {word(table, "State", row["State"]) for row in begun} == {"OK", "Off"}
        made.poll(5, usual=False)
        found = until(lambda: one_broken(ask), "the one that is broken", seconds=WITHIN_S)
        assert found[0]["Agent"] == SLOW
        assert word(table, "Latency", found[0]["Latency"]) == "Broken"
        assert all(word(table, "State", row["State"]) != "Broken" for row in found[1:]), found


def word(table: Mapping[str, Any], column: str, value: str) -> str:
    """What the table's column shows in place of the number."""
    (override,) = (each for each in table["fieldConfig"]["overrides"] if each["matcher"]["options"] == column)
    (mappings,) = (each["value"] for each in override["properties"] if each["id"] == "mappings")
    texts = {
        key: one["text"]
        for mapping in mappings
        if mapping["type"] == "value"
        for key, one in mapping["options"].items()
    }
    return str(texts.get(value, value))

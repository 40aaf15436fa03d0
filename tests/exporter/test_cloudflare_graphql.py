"""One query to Cloudflare's GraphQL API: what is asked for, and what each way to fail is called."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drill.simulators.cloudflare_graphql import AnalyticsSimulator, Refusal
from drill.simulators.graphql_query import parse
from exporter.sources import SourceDown
from exporter.sources.cloudflare_graphql import NotOffered
from tests.exporter.analytics_reading import Reading, analytics_reading

INVOCATIONS = "workersInvocationsAdaptive"


@pytest.fixture
def reading(clock: Any) -> Iterator[Reading]:
    """The account's limits are known and a window is ready to be read."""
    with analytics_reading(clock) as opened:
        opened.later(1)
        opened.later(20)
        yield opened


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Refusal("Unauthorized", 401), "unauthorized"),
        (Refusal("Authentication error"), "unauthorized"),
        (Refusal("account does not have access to the path", 403), "forbidden"),
        (Refusal("not authorized for that account"), "forbidden"),
        (Refusal("limits", 429), "rate_limited"),
        (Refusal("in combination, your request queries too many nodes, zones and accounts", 200), "rate_limited"),
        (Refusal("unable to execute query, please try again later", 503), "server_error"),
        (Refusal("too many queries in progress, please try again later"), "server_error"),
        (Refusal("Internal server error", 500), "server_error"),
        (Refusal("cannot request data older than 2678400s", 400), "bad_request"),
        (Refusal("query contains error, please review it and retry", 400), "bad_request"),
        (Refusal("something new"), "not_success"),
        (Refusal("partial", data={"viewer": {"accounts": [{INVOCATIONS: []}]}}), "not_success"),
    ],
)
def test_each_refusal_has_its_reason(reading: Reading, refusal: Refusal, reason: str) -> None:
    """By its words where it has any, also under HTTP 200, else by its status; nothing of its words is repeated."""
    reading.clock.advance(300)
    before = reading.reached("worker_invocations")
    reading.analytics.refusals.append(refusal)
    down = reading.poll().trouble
    assert down is not None
    assert down.reason == reason
    assert refusal.message not in down.text
    assert reading.reached("worker_invocations") == before


def test_rows_beside_an_error_are_not_counted(reading: Reading) -> None:
    """A part of an answer is no answer: its window is read again as a whole."""
    row = {"dimensions": {"scriptName": "support-bot", "status": "success"}, "sum": {"requests": 7}}
    refusal = Refusal("one node failed", data={"viewer": {"accounts": [{INVOCATIONS: [row]}]}})
    reading.clock.advance(300)
    reading.analytics.refusals.append(refusal)
    reading.poll()
    reading.later()
    assert reading.total("worker_requests", worker="support-bot", status="success") == 0


@pytest.mark.parametrize("kind", ["html", "truncated", "wrong_shape", "timeout"])
def test_what_is_no_answer_is_down_and_never_nothing(reading: Reading, kind: str) -> None:
    """The watermark stays where it was."""
    before = reading.reached("worker_invocations")
    reading.clock.advance(300)
    reading.cloudflare.faults.set(kind, seconds=0.01)
    assert reading.poll().trouble is not None
    assert reading.reached("worker_invocations") == before


def test_only_what_is_offered_is_asked_for(reading: Reading) -> None:
    """An optional field that the account may not read is left out, and the rest is read."""
    dataset = reading.dataset(INVOCATIONS)
    dataset.fields = tuple(field for field in dataset.fields if field != "sum.subrequests")
    reading.clock.advance(3600)
    reading.analytics.invoke("support-bot")
    assert reading.later(20).trouble is None
    assert reading.total("worker_requests", worker="support-bot", status="success") == 1
    assert "subrequests" not in reading.analytics.queries[-1]


@pytest.mark.parametrize("why", ["rejected", "gone"])
def test_an_advertised_field_that_is_refused_is_left_out(reading: Reading, why: str) -> None:
    """The query is repeated once without it, however the API spells it; everything else is read."""
    getattr(reading.dataset(INVOCATIONS), why).add("quantiles.wallTimeP99")
    reading.clock.advance(60)
    reading.analytics.invoke("support-bot")
    assert reading.later(17).trouble is None
    assert reading.gauge("worker_wall_seconds", worker="support-bot", percentile="90") is not None
    assert reading.gauge("worker_wall_seconds", worker="support-bot", percentile="99") is None
    assert reading.total("worker_requests", worker="support-bot", status="success") == 1


def test_a_refused_field_that_is_needed_is_a_failure_with_its_name(reading: Reading) -> None:
    """Without it there is nothing to count, and whoever reads the log is told what changed."""
    reading.dataset(INVOCATIONS).rejected.add("sum.requests")
    down = reading.later().trouble
    assert isinstance(down, SourceDown)
    assert down.reason == "bad_request"
    assert "sum.requests" in down.text


def test_a_dataset_without_the_fields_that_are_needed_is_not_offered(reading: Reading) -> None:
    """It was read before, so this is a failure and says which."""
    dataset = reading.dataset(INVOCATIONS)
    dataset.fields = tuple(field for field in dataset.fields if field != "dimensions.status")
    reading.clock.advance(3600)
    down = reading.later(20).trouble
    assert isinstance(down, NotOffered)
    assert "dimensions.status" in down.text


def test_no_more_fields_are_asked_for_than_may_be(reading: Reading) -> None:
    """Optional ones go first."""
    reading.dataset(INVOCATIONS).max_fields = 4
    reading.clock.advance(3600)
    reading.analytics.invoke("support-bot")
    assert reading.later(20).trouble is None
    assert reading.gauge("worker_cpu_seconds", worker="support-bot", percentile="50") is not None
    assert reading.gauge("worker_wall_seconds", worker="support-bot", percentile="50") is None


def test_a_full_page_may_be_a_cut_one(reading: Reading) -> None:
    """Its window is read in halves until nothing can be missing."""
    reading.dataset("workersInvocationsScheduled").max_page_size = 3
    reading.clock.advance(3600)
    start = reading.clock.now().replace(second=0)
    for minute in range(10):
        reading.analytics.run_cron("support-bot", "* * * * *", start + minute * (reading.clock.now() - start), late_s=0)
        reading.clock.advance(60)
        start = reading.clock.now().replace(second=0)
    for _ in range(6):
        assert reading.later().trouble is None
    assert reading.total("worker_cron_runs", worker="support-bot", cron="* * * * *", status="success") == 10


def test_more_rows_in_a_minute_than_fit_are_a_failure(reading: Reading) -> None:
    """Never a part that looks like the whole."""
    reading.dataset("workersInvocationsScheduled").max_page_size = 3
    reading.clock.advance(3600)
    now = reading.clock.now()
    for _ in range(3):
        reading.analytics.run_cron("support-bot", "* * * * *", now, late_s=0)
    down = reading.later(25).trouble
    assert down is not None
    assert "more rows than fit" in down.text
    assert reading.total("worker_cron_runs", worker="support-bot", cron="* * * * *", status="success") == 0


def test_a_token_that_sees_no_account_reads_nothing(clock: Any) -> None:
    """An empty list of accounts is no answer about this one."""
    with analytics_reading(clock) as reading:
        reading.cloudflare.twist = lambda request, response: (
            response if "graphql" not in request.path else type(response)(200, _NO_ACCOUNTS, response.headers)
        )
        assert reading.poll().trouble is None
        assert set(reading.up().values()) == {0.0}


_NO_ACCOUNTS = json.dumps({"data": {"viewer": {"accounts": []}}, "errors": None}).encode()


def test_every_field_exists_in_the_recorded_schema(contracts: Path, reading: Reading) -> None:
    """Fields, types of groups and units are those that Cloudflare's own exporter found."""
    recorded = json.loads((contracts / "cloudflare" / "graphql_datasets.json").read_text())
    asked = [_node(query) for query in reading.analytics.queries if "settings" not in query]
    assert {name for name, _ in asked} == set(reading.analytics.datasets)
    for name, paths in asked:
        for path in paths:
            group, _, field = path.rpartition(".")
            # One field is newer than the recording; it is asked for only where an account offers it.
            if (name, path) == ("aiGatewayRequestsAdaptiveGroups", "avg.sampleInterval"):
                continue
            known = recorded[f"Account{name[0].upper()}{name[1:]}{group[:1].upper()}{group[1:]}"]["fields"]
            assert field in known, path
            if re.match(r"(cpuTime|wallTime)P", field):
                assert "microseconds" in known[field]["description"]
            if field == "totalInferenceTimeMs":
                assert "ms" in known[field]["description"]


def test_the_simulated_schema_is_the_recorded_one(contracts: Path, clock: Any) -> None:
    """What the simulator advertises exists, so that a test cannot pass on a field that is not there."""
    recorded = json.loads((contracts / "cloudflare" / "graphql_datasets.json").read_text())
    for name, dataset in AnalyticsSimulator(clock.now, "account", list).datasets.items():
        for path in dataset.fields:
            group, _, field = path.rpartition(".")
            if (name, path) != ("aiGatewayRequestsAdaptiveGroups", "avg.sampleInterval"):
                assert field in recorded[f"Account{name[0].upper()}{name[1:]}{group[:1].upper()}{group[1:]}"]["fields"]


def _node(query: str) -> tuple[str, list[str]]:
    variables = dict.fromkeys(("account", "since", "until"), "")
    ((account,),) = [viewer.children for viewer in parse(query, variables)]
    (node,) = account.children
    return node.name, list(node.paths())

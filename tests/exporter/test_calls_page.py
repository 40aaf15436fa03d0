"""`GET /v1/calls` shows an agent's last calls, and says what is wrong with a question."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from exporter.calls_page import CallsPage
from exporter.ledger import Ledger
from exporter.probes import Probe
from exporter.web import MetricsServer
from handrail.database import create_engine
from handrail.http import build_client
from handrail.settings import parse
from tests.exporter.making import CONFIG, StandingClock, batch, call


@pytest.fixture
def page(tmp_path: Path) -> CallsPage:
    """The page over a ledger with three calls."""
    config = parse(CONFIG + f'exporter: {{database_url: "sqlite:///{tmp_path}/ledger.sqlite"}}\n')
    engine = create_engine(config.exporter.database_url)
    Ledger(engine, config, StandingClock()).commit("n8n/main", batch(*(call(number) for number in range(3))))
    engine.dispose()
    return CallsPage(lambda: config)


def test_the_last_calls_are_shown_oldest_first(page: CallsPage) -> None:
    """As many as asked for, with what a reader needs to find them again."""
    agent = call(1).agent
    status, text = page.answer({"agent": agent, "limit": "2"})
    rows = json.loads(text)["calls"]
    assert (status, [row["id"] for row in rows]) == (200, ["1", "2"])
    assert {"finished_at", "outcome", "error_reason", "duration_s", "model", "url"} <= rows[0].keys()
    assert json.loads(page.answer({"agent": "nobody"})[1]) == {"calls": []}


@pytest.mark.parametrize(
    "query", [{}, {"agent": "a", "show": "prompts"}, {"agent": "a", "limit": "0"}, {"agent": "a", "limit": "51"}]
)
def test_a_wrong_question_is_told_what_is_right(page: CallsPage, query: dict[str, str]) -> None:
    """400, with the parameters there are."""
    status, text = page.answer(query)
    assert status == 400
    assert "agent=NAME" in json.loads(text)["error"]


def test_without_a_ledger_it_says_so(tmp_path: Path) -> None:
    """503: a reader tries again later."""
    config = parse(CONFIG + f'exporter: {{database_url: "sqlite:///{tmp_path}/none.sqlite"}}\n')
    status, text = CallsPage(lambda: config).answer({"agent": "a"})
    assert (status, "no ledger" in text) == (503, True)


def test_it_is_served_beside_the_metrics(page: CallsPage) -> None:
    """Over HTTP, as JSON; too many fields are refused."""
    probe = Probe(True, "ok")
    pages = {"/v1/calls": page.answer}
    server = MetricsServer("127.0.0.1", 0, CollectorRegistry(), healthy=lambda: probe, ready=lambda: probe, pages=pages)
    server.start()
    with build_client(base_url=f"http://127.0.0.1:{server.port}") as client:
        answer = client.get("/v1/calls", params={"agent": call(1).agent})
        assert (answer.status_code, len(answer.json()["calls"])) == (200, 3)
        assert client.get("/v1/calls?" + "&".join(f"a{n}=1" for n in range(30))).status_code == 400
    server.close()

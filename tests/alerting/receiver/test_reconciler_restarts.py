"""With real Alertmanagers that go away: what still fires keeps its ticket, and what ended loses it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from alerting.receiver.firing import RECEIVER
from handrail.http import HttpClient, build_client
from tests.alerting.running_alertmanager import alert, started, until

pytestmark = [pytest.mark.tools, pytest.mark.slow]

LABELS = {"alertname": "AgentSlowCallStreak", "severity": "critical", "agent": "invoice", "owner": "support"}
Start = Callable[[str], AbstractContextManager[str]]


@pytest.fixture
def client():
    with build_client() as client:
        yield client


@pytest.fixture
def start(own_alertmanager: Path, tmp_path: Path, client: HttpClient) -> Start:
    """Starts an Alertmanager of that name, with what it kept; none of its notifications arrives anywhere."""

    def begin(name: str) -> AbstractContextManager[str]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        route = {"receiver": RECEIVER, "group_by": ["alertname", "agent"], "group_wait": "50ms"}
        receivers = [{"name": RECEIVER, "webhook_configs": [{"url": "http://127.0.0.1:9/"}]}]
        (folder / "alertmanager.yml").write_text(json.dumps({"route": route, "receivers": receivers}))
        return started(own_alertmanager, folder / "alertmanager.yml", client)

    return begin


def post(client: HttpClient, *urls: str, ended: bool = False) -> None:
    """As Prometheus does, to every Alertmanager; they know it then, or know it no more."""
    for url in urls:
        client.post(f"{url}/api/v2/alerts", json=[alert(LABELS, "slow", ended=ended)]).raise_for_status()
        until(lambda url=url: bool(client.get(f"{url}/api/v2/alerts/groups").json()) is not ended, "the alert")


def ask(bench, *urls: str) -> dict[str, str]:
    """From now on the receiver asks these; where one has gone to is to be put into what is returned."""
    moved: dict[str, str] = {}
    bench.connect_alertmanager = lambda url: build_client(base_url=moved.get(url, url))
    receiver = bench.settings.receiver.model_copy(update={"alertmanagers": urls})
    bench.settings = bench.settings.model_copy(update={"receiver": receiver})
    bench.restart()
    return moved


@pytest.mark.parametrize("kept", [True, False], ids=["restarted", "lost its data"])
def test_one_that_restarts_closes_nothing_that_fires_and_leaves_nothing_open(bench, start, client, tmp_path, kept):
    """It knows no alert until Prometheus has told it again, within a minute; what ended meanwhile is never told."""
    with start("one") as url:
        post(client, url)
        moved = ask(bench, url)
        bench.look(4)
        (ticket,) = bench.open_tickets
    bench.look(5)
    assert bench.open_tickets == [ticket], "who cannot be asked has not said that it ended"
    if not kept:
        shutil.rmtree(tmp_path / "one" / "data")
    with start("one") as again:
        moved[url] = again
        bench.look(2)
        assert bench.open_tickets == [ticket], "it has only just started"
        post(client, again)
        bench.look(6)
        assert bench.jira.issues == [ticket]
        assert bench.open_tickets == [ticket]
    with start("one") as again:
        moved[url] = again
        bench.look(5)
        assert bench.open_tickets == [], "it ended while Alertmanager was away"


def test_of_two_of_which_one_is_away_the_other_alone_decides_nothing(bench, start, client):
    """What one has forgotten the other may still know; back again and empty, it takes nothing from what fires."""
    with start("one") as one:
        with start("two") as two:
            post(client, one, two)
            moved = ask(bench, one, two)
            bench.look(4)
            (ticket,) = bench.open_tickets
        bench.look(5)
        assert bench.open_tickets == [ticket]
        with start("two") as again:
            moved[two] = again
            bench.look(5)
            assert bench.open_tickets == [ticket], "one of them still knows it"
            post(client, one, ended=True)
            bench.look(5)
            assert bench.open_tickets == []
    assert bench.jira.issues == [ticket]

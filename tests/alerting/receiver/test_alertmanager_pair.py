"""With two real Alertmanagers, both told by Prometheus: one ticket, whether they know of each other or not."""

from __future__ import annotations

import queue
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from handrail.http import HttpClient, build_client
from tests.alerting.running_alertmanager import Outside, alert, free_port, outside, started, until

pytestmark = [pytest.mark.tools, pytest.mark.slow]

# The second of a pair waits so long for word that the first has told.
PEER_TIMEOUT_S = 3


@contextmanager
def pair(
    program: Path, folder: Path, client: HttpClient, *, joined: bool
) -> Iterator[tuple[Outside, dict[str, ExitStack]]]:
    """Both by their URLs, each in a stack of its own that ends it; what they tell is in the receiver's queue."""
    with outside() as world, ExitStack() as both:
        hook = {"url": f"{world.url}/v1/alerts", "http_config": {"authorization": {"credentials": "t"}}}
        times = {"group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"}
        told = {
            "route": {"receiver": "handrail", "group_by": ["alertname", "agent"], **times},
            "receivers": [{"name": "handrail", "webhook_configs": [hook]}],
        }
        clusters = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        running: dict[str, ExitStack] = {}
        for own, other in (clusters, clusters[::-1]):
            home = folder / own.rpartition(":")[2]
            home.mkdir()
            (home / "alertmanager.yml").write_text(yaml.safe_dump(told))
            peers = [f"--cluster.peer={other}"] if joined else []
            timing = [f"--cluster.peer-timeout={PEER_TIMEOUT_S}s", "--cluster.reconnect-interval=1s"]
            listening = [f"--cluster.listen-address={own}", f"--cluster.advertise-address={own}"]
            one = both.enter_context(ExitStack())
            url = one.enter_context(started(program, home / "alertmanager.yml", client, [*listening, *peers, *timing]))
            running[url] = one
        for url in running:
            until(lambda url=url: _cluster(client, url) == ("ready", 2 if joined else 1), f"the cluster of {url}")
        yield world, running


def _cluster(client: HttpClient, url: str) -> tuple[str, int]:
    said: dict[str, Any] = client.get(f"{url}/api/v2/status").json()["cluster"]
    return said["status"], len(said["peers"])


def later(world: Outside) -> list[dict[str, Any]]:
    """What else is told until nothing has been for longer than one of a pair waits for the other."""
    more = []
    while True:
        try:
            more.append(world.receiver.get(timeout=2 * PEER_TIMEOUT_S))
        except queue.Empty:
            return more


@pytest.mark.parametrize("joined", [True, False], ids=["joined", "apart"])
def test_a_pair_opens_one_ticket_and_either_closes_it(
    bench, own_alertmanager: Path, tmp_path: Path, joined: bool
) -> None:
    """Those that gossip tell once, those that do not tell twice; when one dies the other tells the end."""
    labels = {"alertname": "AgentSlowCallStreak", "severity": "critical", "agent": uuid.uuid4().hex, "owner": "support"}
    with build_client() as client, pair(own_alertmanager, tmp_path, client, joined=joined) as (world, running):

        def tell(*, ended: bool) -> None:
            for url in running:
                said = [alert(labels, "slow", ended=ended)]
                client.post(f"{url}/api/v2/alerts", json=said).raise_for_status()

        tell(ended=False)
        first = world.told(world.receiver, "firing", labels["alertname"])
        copies = later(world)
        assert len(copies) == (0 if joined else 1)
        for sent in (first, *copies):
            assert bench.alert(sent).status_code == 200
            bench.drain()
        (ticket,) = bench.open_tickets
        comments = len(ticket.comments)

        running.pop(first["externalURL"]).close()
        tell(ended=True)
        assert bench.alert(world.told(world.receiver, "resolved", labels["alertname"])).status_code == 200
        bench.later(30)
        assert bench.open_tickets == []
        assert (len(bench.jira.issues), len(ticket.comments)) == (1, comments + 1)

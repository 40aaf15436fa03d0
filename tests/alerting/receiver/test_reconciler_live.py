"""With a real Alertmanager: the ways in which it never tells that an alert began or ended."""

from __future__ import annotations

import queue
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tests.alerting.running_alertmanager import Live, alert, until

pytestmark = pytest.mark.tools


def about(agent: str, alertname: str = "AgentSlowCallStreak") -> dict[str, str]:
    return {"alertname": alertname, "severity": "critical", "agent": agent, "owner": "support"}


def told(bench, live: Live, alertname: str, agent: str) -> None:
    """Hand the receiver the next notification about that agent."""
    while (sent := live.outside.told(live.outside.receiver, "firing", alertname))["groupLabels"].get("agent") != agent:
        pass
    assert bench.alert(sent).status_code == 200
    bench.drain()


def state(live: Live, agent: str) -> list[str]:
    found = live.client.get(f"{live.url}/api/v2/alerts", params={"filter": f'agent="{agent}"'}).json()
    return [each["status"]["state"] for each in found if each["labels"]["alertname"] != "AgentDisabled"]


def silent(live: Live, agent: str) -> bool:
    """Did Alertmanager, which flushes each second, tell nothing of the agent's end?"""
    while True:
        try:
            sent = live.outside.receiver.get(timeout=2.5)
        except queue.Empty:
            return True
        if sent["groupLabels"].get("agent") == agent and sent["status"] == "resolved":
            return False


@pytest.mark.parametrize("how", ["silenced", "inhibited"])
def test_one_that_ends_while_it_is_muted_is_closed_though_never_told(bench, live: Live, how: str) -> None:
    """The ticket says that it is muted, stays open, and closes when the alert is really over."""
    # Its silence outlives the test, and the same Alertmanager serves the next one.
    agent = f"{how}-{uuid.uuid4().hex[:8]}"
    labels = about(agent)
    bench.alertmanager_url = live.url
    live.post(alert(labels, "slow"))
    told(bench, live, "AgentSlowCallStreak", agent)
    (ticket,) = bench.open_tickets
    if how == "silenced":
        until_ = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        matcher = {"name": "agent", "value": agent, "isRegex": False, "isEqual": True}
        silence = {"matchers": [matcher], "startsAt": datetime.now(UTC).isoformat(), "endsAt": until_}
        body = silence | {"createdBy": "ops lead", "comment": "maintenance"}
        live.client.post(f"{live.url}/api/v2/silences", json=body).raise_for_status()
    else:
        live.post(alert(about(agent, "AgentDisabled"), "off"))
    until(lambda: state(live, agent) == ["suppressed"], "the muting")
    bench.look()
    assert how in str(ticket.comments[-1]).lower()
    live.post(alert(labels, "slow", ended=True))
    until(lambda: state(live, agent) == [], "the end")
    assert silent(live, agent)
    assert ticket in bench.open_tickets
    bench.look(4)
    assert ticket not in bench.open_tickets


def test_one_that_fires_in_an_outage_is_opened_and_one_that_also_ends_in_it_is_closed(bench, live: Live) -> None:
    """No notification reaches the receiver at all."""
    labels = about("unheard")
    bench.alertmanager_url = live.url
    live.post(alert(labels, "slow"))
    until(lambda: state(live, "unheard") == ["active"], "the alert")
    bench.look(4)
    mine = [issue for issue in bench.open_tickets if "handrail-agent-unheard" in issue.labels]
    assert len(mine) == 1
    live.post(alert(labels, "slow", ended=True))
    until(lambda: state(live, "unheard") == [], "the end")
    bench.look(4)
    assert not [issue for issue in bench.open_tickets if "handrail-agent-unheard" in issue.labels]

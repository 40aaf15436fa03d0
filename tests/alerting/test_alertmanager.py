"""Who is told what: the routes as amtool reads them, and what a real Alertmanager sends to Slack and the receiver."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
import yaml

from alerting.render import SecretFiles
from handrail.http import HttpClient, build_client

Rendered = Callable[..., Path]
SLACK = "notify: {slack: {webhook_url_file: /run/secrets/slack_webhook_url, channel: '#ai'}, group_wait: 10s}\n"
WATCHDOG = {"alertname": "HandrailWatchdog", "severity": "info"}
AGENT_LABELS = {"agent": "support-bot", "sla": "default", "owner": "support"}
KINDS = {
    "slow": {"alertname": "AgentSlowCallStreak", "severity": "critical", **AGENT_LABELS},
    "errors": {"alertname": "AgentErrorRatioHigh", "severity": "critical", **AGENT_LABELS},
    "tokens": {"alertname": "AgentTokenUsageHigh", "severity": "warning", **AGENT_LABELS},
    "discovered, nobody's": {"alertname": "AgentTokenUsageHigh", "severity": "warning", "agent": "x", "sla": "default"},
}


def alertmanager(folder: Path) -> dict[str, Any]:
    """The rendered configuration."""
    document: dict[str, Any] = yaml.safe_load((folder / "alertmanager.yml").read_text())
    return document


def amtool_routes(amtool: Path, folder: Path, labels: dict[str, str]) -> str:
    """The receivers of an alert, as amtool names them."""
    pairs = [f"{name}={value}" for name, value in labels.items()]
    command = [amtool, "config", "routes", "test", f"--config.file={folder / 'alertmanager.yml'}", *pairs]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


@pytest.mark.tools
@pytest.mark.parametrize("extra", [SLACK, ""], ids=["slack", "no slack"])
def test_configuration_is_valid(amtool: Path, rendered: Rendered, extra: str) -> None:
    """Valid on this version, with Slack and without."""
    command = [amtool, "check-config", rendered(extra) / "alertmanager.yml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.tools
@pytest.mark.parametrize("labels", KINDS.values(), ids=KINDS.keys())
def test_alerts_of_an_agent_go_to_slack_and_to_the_receiver(
    amtool: Path, rendered: Rendered, labels: dict[str, str]
) -> None:
    """Both are told, each on its own."""
    assert amtool_routes(amtool, rendered(SLACK), labels) == "slack-agent,receiver"


@pytest.mark.tools
def test_an_alert_about_no_agent_has_a_message_without_a_switch(amtool: Path, rendered: Rendered) -> None:
    """There is nothing to switch off, but both are told all the same."""
    assert amtool_routes(amtool, rendered(SLACK), {"alertname": "Other", "severity": "warning"}) == "slack,receiver"


@pytest.mark.tools
@pytest.mark.parametrize("extra", [SLACK, ""], ids=["slack", "no slack"])
def test_the_watchdog_goes_to_the_receiver_only(amtool: Path, rendered: Rendered, extra: str) -> None:
    """A heartbeat in Slack would bury what matters."""
    assert amtool_routes(amtool, rendered(extra), WATCHDOG) == "watchdog"


@pytest.mark.tools
def test_without_slack_only_the_receiver_is_told(amtool: Path, rendered: Rendered) -> None:
    """No Slack configured is no error."""
    assert amtool_routes(amtool, rendered(), KINDS["slow"]) == "receiver"


def test_intervals_and_urls_come_from_the_file(rendered: Rendered) -> None:
    """Settings reach the route and the receivers; nothing is cut and the end of an alert is told."""
    folder = rendered(
        "notify: {slack: {webhook_url_file: /x}, group_wait: 10s, group_interval: 1m30s, repeat_interval: 12h}\n"
        "receiver: {listen: '127.0.0.1:19096', public_url: 'https://handrail.example.com'}\n"
    )
    document = alertmanager(folder)
    route = document["route"]
    assert route["group_by"] == ["alertname", "agent"]
    assert [route[name] for name in ("group_wait", "group_interval", "repeat_interval")] == ["10s", "1m30s", "12h"]
    receivers = {receiver["name"]: receiver for receiver in document["receivers"]}
    (webhook,) = receivers["receiver"]["webhook_configs"]
    assert webhook == {
        "url": "http://127.0.0.1:19096/v1/alerts",
        "send_resolved": True,
        "max_alerts": 0,
        "http_config": {"authorization": {"type": "Bearer", "credentials_file": "/run/secrets/handrail_webhook_token"}},
    }
    assert receivers["watchdog"]["webhook_configs"][0]["send_resolved"] is False
    (slack,) = receivers["slack-agent"]["slack_configs"]
    assert slack["send_resolved"] is True
    assert slack["link_names"] is False
    assert "channel" not in slack
    assert all("https://handrail.example.com/" in b["url"] for b in slack["actions"] if b["text"] != "Silence")


def test_only_the_message_about_an_agent_can_switch_it_off(rendered: Rendered) -> None:
    """The other message has the same buttons without that one."""
    receivers = {receiver["name"]: receiver for receiver in alertmanager(rendered(SLACK))["receivers"]}
    buttons = {
        name: [button["text"] for button in receivers[name]["slack_configs"][0]["actions"]]
        for name in ("slack-agent", "slack")
    }
    assert buttons == {
        "slack-agent": ["Run-book", "Dashboard", "Silence", "Switch off"],
        "slack": ["Run-book", "Dashboard", "Silence"],
    }


def test_the_watchdog_beats_once_a_minute(rendered: Rendered) -> None:
    """It may be repeated at the second look, a minute after the last time, and not at the first."""
    (route,) = (r for r in alertmanager(rendered())["route"]["routes"] if r["receiver"] == "watchdog")
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("0s", "30s", "50s")


def test_critical_mutes_only_alerts_about_the_same_agent(rendered: Rendered) -> None:
    """Two alerts without an agent would count as equal, so both must name one."""
    rule, _ = alertmanager(rendered())["inhibit_rules"]
    assert rule["source_matchers"] == ['severity="critical"', 'agent!=""']
    assert rule["target_matchers"] == ['severity=~"warning|info"', 'agent!=""']
    assert rule["equal"] == ["alertname", "agent"]


def test_an_agent_that_is_off_mutes_its_other_alerts_and_nothing_about_its_switch(rendered: Rendered) -> None:
    """Whether a switch-off is proved must be told above all while the agent counts as off."""
    _, rule = alertmanager(rendered())["inhibit_rules"]
    assert rule["source_matchers"] == ['alertname="AgentDisabled"', 'agent!=""']
    assert rule["target_matchers"] == ['alertname=~"Agent.+"', 'alertname!="AgentDisabled"', 'agent!=""']
    assert rule["equal"] == ["agent"]


@dataclass
class Outside:
    """Plays Slack and the receiver; what each was sent can be taken once, in order."""

    url: str = ""
    slack: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    receiver: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)

    def told_slack(self, title: str) -> dict[str, Any]:
        """The next message of that title; others before it are dropped."""
        message = self._next(self.slack, lambda sent: sent["attachments"][0]["title"] == title)
        assert "link_names" not in message
        return dict(message["attachments"][0])

    def told_receiver(self, status: str, alertname: str) -> dict[str, Any]:
        """The next notification about that alert in that state; others before it are dropped."""
        wanted = (status, alertname)
        return self._next(self.receiver, lambda sent: (sent["status"], sent["groupLabels"]["alertname"]) == wanted)

    @staticmethod
    def _next(sent: queue.Queue[dict[str, Any]], wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = time.monotonic() + 30
        while not wanted(found := sent.get(timeout=max(0.0, end - time.monotonic()))):
            pass
        return found


@contextmanager
def outside() -> Iterator[Outside]:
    """The two, listening on a port of their own."""
    here = Outside()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/slack":
                here.slack.put(body)
            elif self.path == "/v1/alerts":
                here.receiver.put({"authorization": self.headers["Authorization"], **body})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")  # Slack says so, and Alertmanager takes any other word for a failure

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        here.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield here
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(client: HttpClient, url: str) -> bool:
    """Is the program ready?"""
    try:
        return client.get(f"{url}/-/ready").is_success
    except httpx.TransportError:
        return False


@contextmanager
def started(program: Path, configuration: Path, client: HttpClient) -> Iterator[str]:
    """A real Alertmanager with that configuration; gives its URL once it is ready."""
    url, folder = f"http://127.0.0.1:{free_port()}", configuration.parent
    command = [
        str(program),
        f"--config.file={configuration}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        f"--web.external-url={url}",
        "--cluster.listen-address=",
    ]
    pause, end = threading.Event(), time.monotonic() + 30
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            while not answers(client, url):
                assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()
                pause.wait(0.05)
            yield url
        finally:
            process.terminate()


def alert(labels: dict[str, str], description: str, *, ended: bool = False) -> dict[str, Any]:
    """One alert as Prometheus posts it."""
    annotations = {"summary": "A summary.", "description": description}
    now = datetime.now(UTC).isoformat()
    return {"labels": labels, "annotations": annotations, "endsAt" if ended else "startsAt": now}


@dataclass(frozen=True)
class Live:
    """A running Alertmanager with the rendered configuration, and the world it tells."""

    url: str
    outside: Outside
    client: HttpClient

    def post(self, *alerts: dict[str, Any]) -> None:
        """As Prometheus does."""
        self.client.post(f"{self.url}/api/v2/alerts", json=list(alerts)).raise_for_status()


@pytest.fixture
def live(own_alertmanager: Path, rendered: Rendered, tmp_path: Path) -> Iterator[Live]:
    """Alertmanager of one version, which waits hardly at all before it tells."""
    token, slack_url = tmp_path / "token", tmp_path / "slack"
    token.write_text("token-of-the-webhook\n")
    with outside() as world, build_client() as client:
        slack_url.write_text(f"{world.url}/slack")
        folder = rendered(
            f"notify: {{slack: {{webhook_url_file: {slack_url}}}, group_wait: 100ms, group_interval: 1s}}\n"
            f"receiver: {{listen: '{world.url.removeprefix('http://')}', public_url: 'http://handrail.test'}}\n",
            secret_files=SecretFiles(webhook_token=token, slack_webhook_url=slack_url),
        )
        with started(own_alertmanager, folder / "alertmanager.yml", client) as url:
            yield Live(url, world, client)


@pytest.mark.tools
def test_slack_shows_the_numbers_escaped_and_four_buttons(live: Live) -> None:
    """What a person at night reads and can press, first firing, then resolved."""
    live.post(alert(KINDS["slow"], "support-bot: 3 > 2 & <b>; &lt; too"))
    attachment = live.outside.told_slack("[FIRING:1] AgentSlowCallStreak support-bot")
    assert attachment["text"].strip() == "support-bot: 3 &gt; 2 &amp; &lt;b&gt;; &amp;lt; too"
    assert attachment["color"] == "danger"
    buttons = {button["text"]: button["url"] for button in attachment["actions"]}
    assert list(buttons) == ["Run-book", "Dashboard", "Silence", "Switch off"]
    assert buttons["Run-book"] == "http://handrail.test/runbook/AgentSlowCallStreak?agent=support-bot"
    assert buttons["Dashboard"] == "http://handrail.test/?agent=support-bot"
    assert buttons["Switch off"] == "http://handrail.test/agents/support-bot/switch"
    assert buttons["Silence"].startswith(f"{live.url}/#/silences/new?filter=")
    silenced = unquote(urlsplit(buttons["Silence"]).fragment.removeprefix("/silences/new?filter="))
    assert silenced == '{agent="support-bot",alertname="AgentSlowCallStreak"}'

    live.post(alert(KINDS["slow"], "support-bot: 3 calls", ended=True))
    attachment = live.outside.told_slack("[RESOLVED] AgentSlowCallStreak support-bot")
    assert attachment["text"].strip() == "Resolved: support-bot: 3 calls"
    assert attachment["color"] == "good"


@pytest.mark.tools
def test_the_receiver_is_told_with_the_token_when_it_begins_and_ends(live: Live) -> None:
    """The webhook carries the bearer token out of its file, without the line end."""
    live.post(alert(KINDS["errors"], "support-bot: 2 of 51"))
    sent = live.outside.told_receiver("firing", "AgentErrorRatioHigh")
    assert sent["authorization"] == "Bearer token-of-the-webhook"
    assert sent["version"] == "4"
    assert sent["groupLabels"] == {"alertname": "AgentErrorRatioHigh", "agent": "support-bot"}
    assert [a["labels"] for a in sent["alerts"]] == [KINDS["errors"]]
    live.post(alert(KINDS["errors"], "support-bot: 2 of 51", ended=True))
    assert live.outside.told_receiver("resolved", "AgentErrorRatioHigh")["status"] == "resolved"


@pytest.mark.tools
def test_the_watchdog_never_reaches_slack(live: Live) -> None:
    """An alert about no agent, posted with it, is the sign that Slack had its chance; it has no switch either."""
    live.post(alert(WATCHDOG, "alive"), alert({"alertname": "Other", "severity": "warning"}, "other"))
    assert live.outside.told_receiver("firing", "HandrailWatchdog")["receiver"] == "watchdog"
    first = live.outside.slack.get(timeout=30)
    (attachment,) = first["attachments"]
    assert attachment["title"] == "[FIRING:1] Other"
    assert attachment["color"] == "warning"
    assert [button["text"] for button in attachment["actions"]] == ["Run-book", "Dashboard", "Silence"]
    assert parse_qs(urlsplit(attachment["actions"][0]["url"]).query) == {}
    live.outside.told_receiver("firing", "Other")
    assert live.outside.slack.empty()


@pytest.mark.tools
def test_a_long_list_is_cut_after_ten(live: Live) -> None:
    """Twelve alerts of one group: ten lines, then how many more."""
    live.post(*(alert(KINDS["tokens"] | {"sla": f"sla-{i:02}"}, f"line {i:02}") for i in range(12)))
    lines = live.outside.told_slack("[FIRING:12] AgentTokenUsageHigh support-bot")["text"].strip().splitlines()
    assert len(lines) == 11
    assert lines[-1] == "+2 more"

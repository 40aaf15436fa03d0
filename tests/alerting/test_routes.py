"""Who is told what: the route of every alert there is, as Alertmanager's own checker reads it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting.render import SecretFiles, documents
from alerting.rule_tests.all import cases
from handrail.settings import parse
from tests.alerting.conftest import MINIMAL, ROOT, SECRET_FILES, place
from tests.every_limit import every_limit

Rendered = Callable[..., Path]

SLACK = "notify: {slack: {webhook_url_file: /run/secrets/slack_webhook_url, channel: '#ai'}, group_wait: 10s}\n"
AGENTS = """
agents:
  - {name: support-bot, from: {n8n: main, workflow: A}, owner: support}
  - {name: invoice-summary, from: {n8n: main, workflow: B}, owner: finance-ops}
"""
EVERY_WAY = (
    AGENTS
    + """
notify:
  slack: {webhook_url_file: /run/secrets/slack_webhook_url}
  email: {smarthost: "smtp.example.com:587", from: handrail@example.com, to: [on-call@example.com, lead@example.com],
          user: handrail, password_file: /run/secrets/email_password}
  webhook: {url: "https://pager.example.com/alerts", token_file: /run/secrets/pager_token}
  owners:
    support: {slack: {webhook_url_file: /run/secrets/slack_webhook_url_support}, email: [support@example.com]}
  office_hours: {days: "mon-fri", from: "08:00", to: "18:00", time_zone: Europe/Berlin}
"""
)
CONFIGURATIONS = {"nobody": "", "slack": SLACK, "every way": EVERY_WAY}


def alerts() -> Iterator[tuple[str, dict[str, str]]]:
    """Every alert of every limit with all labels it is sent with: the rule's own and those of its expression."""
    settings = every_limit(ROOT)
    rules = documents(settings, SECRET_FILES)["rules/handrail.yml"]
    subjects = [(case.alert, case.subject) for case in cases(settings)]
    for rule in (rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule):
        own: dict[str, str] = rule["labels"]
        proved = [dict(subject) for name, subject in subjects if name == rule["alert"] and agrees(subject, own)]
        labels = (proved[0] if proved else {}) | own
        if "agent" in labels:
            labels |= {"agent": "support-bot"} | ({"owner": "support"} if rule["alert"].startswith("Agent") else {})
        name = "-".join(
            [rule["alert"], *(own[key] for key in ("severity", "per", "limit", "pace", "baseline") if key in own)]
        )
        yield name, {"alertname": rule["alert"], **labels}


def agrees(subject: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Is the subject of a test about this rule, and not about another of the same name?"""
    return all(labels[key] == subject[key] for key in labels.keys() & subject.keys())


ALERTS = dict(alerts())


def told(labels: Mapping[str, str], configuration: str) -> str:
    """Who should be told, in words other than the routes'."""
    critical, info, agent = labels["severity"] == "critical", labels["severity"] == "info", "agent" in labels
    if labels["alertname"] == "HandrailWatchdog":
        return "watchdog"
    if labels["alertname"] in ("AgentTokenBaselineNotReady", "AgentBaselineNotReady"):
        return "nobody"
    owned = configuration == "every way" and labels.get("owner") == "support"
    people = []
    if configuration != "nobody" and (critical or not owned):
        people.append("slack-agent" if agent else "slack")
    if owned:
        people.append("slack-agent-support")
    if owned and not info:
        people.append("email-support")
    if configuration == "every way" and not info:
        people += ["email"] * (critical or not owned) + ["webhook"]
    return ",".join([*people, *([] if info else ["receiver"])]) or "nobody"


def run(program: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """What amtool says."""
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=30, check=False)


def test_every_rule_is_routed_with_the_labels_of_its_expression() -> None:
    """An alert about an agent without the agent's label would be grouped, muted and routed as another kind."""
    assert len(ALERTS) == sum(1 for _ in alerts())
    assert all("agent" in labels for labels in ALERTS.values() if labels["alertname"].startswith("Agent"))
    assert ALERTS["HandrailSourceDown-critical"]["source"]


@pytest.mark.tools
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_every_alert_reaches_whom_it_should(amtool: Path, rendered: Rendered, configuration: str) -> None:
    """Every alert of the rendered rules, with its labels, by `amtool config routes test --verify.receivers`."""
    file = rendered(CONFIGURATIONS[configuration]) / "alertmanager.yml"
    wrong = [found for labels in ALERTS.values() if (found := misrouted(amtool, file, labels, configuration))]
    assert wrong == []


def misrouted(program: Path, file: Path, labels: Mapping[str, str], configuration: str) -> str:
    """What amtool complains about; nothing when the right ones are told."""
    wanted = f"--verify.receivers={told(labels, configuration)}"
    pairs = [f"{name}={value}" for name, value in labels.items()]
    done = run(program, "config", "routes", "test", f"--config.file={file}", wanted, *pairs)
    return "" if done.returncode == 0 else f"{labels}: {done.stdout}{done.stderr}"


@pytest.mark.tools
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_configuration_is_valid(amtool: Path, rendered: Rendered, configuration: str) -> None:
    """Valid on this version, whatever ways there are."""
    done = run(amtool, "check-config", rendered(CONFIGURATIONS[configuration]) / "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def alertmanager(folder: Path) -> dict[str, Any]:
    """The rendered configuration."""
    document: dict[str, Any] = yaml.safe_load((folder / "alertmanager.yml").read_text())
    return document


def by_name(folder: Path) -> dict[str, Any]:
    """The receivers by their names."""
    return {receiver["name"]: receiver for receiver in alertmanager(folder)["receivers"]}


def test_intervals_and_urls_come_from_the_file(rendered: Rendered) -> None:
    """Settings reach the route and the receivers; nothing is cut and the end of an alert is told."""
    folder = rendered(
        "notify: {slack: {webhook_url_file: /x}, group_wait: 10s, group_interval: 1m30s, repeat_interval: 12h,"
        " warning_repeat_interval: 2d}\n"
        "receiver: {listen: '127.0.0.1:19096', public_url: 'https://handrail.example.com'}\n"
    )
    route = alertmanager(folder)["route"]
    assert route["group_by"] == ["alertname", "agent"]
    assert [route[name] for name in ("group_wait", "group_interval", "repeat_interval")] == ["10s", "1m30s", "12h"]
    repeats = {tuple(r["matchers"]): r.get("repeat_interval") for r in route["routes"] if "slack" in r["receiver"]}
    assert {at for matchers, at in repeats.items() if 'severity="critical"' in matchers} == {None}
    assert {at for matchers, at in repeats.items() if 'severity!="critical"' in matchers} == {"2d"}
    receivers = by_name(folder)
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


def test_every_secret_is_the_name_of_a_file(rendered: Rendered) -> None:
    """Alertmanager's configuration is shown on its page and in backups."""
    receivers = by_name(rendered(EVERY_WAY))
    (email,) = receivers["email"]["email_configs"]
    assert (email["auth_username"], email["auth_password_file"]) == ("handrail", "/run/secrets/email_password")
    assert (email["to"], email["require_tls"]) == ("on-call@example.com, lead@example.com", True)
    (webhook,) = receivers["webhook"]["webhook_configs"]
    assert webhook["http_config"]["authorization"] == {
        "type": "Bearer",
        "credentials_file": "/run/secrets/forward_token",
    }
    (slack,) = receivers["slack-agent-support"]["slack_configs"]
    assert slack["api_url_file"] == "/run/secrets/slack_webhook_url_support"
    text = (rendered(EVERY_WAY) / "alertmanager.yml").read_text()
    assert not {"auth_password:", "credentials:", "api_url:"} & set(text.split())


def test_what_can_wait_waits_for_the_office_and_nothing_else_does(rendered: Rendered) -> None:
    """Critical alerts, the receiver and the watchdog have no office hours."""
    document = alertmanager(rendered(EVERY_WAY))
    routes = document["route"]["routes"]
    waiting = [r for r in routes if r.get("active_time_intervals")]
    assert {r["receiver"] for r in routes} - {r["receiver"] for r in waiting} == {"watchdog", "nobody", "receiver"}
    assert all({'severity!="critical"', 'severity="warning"'} & set(r["matchers"]) for r in waiting)
    (hours,) = document["time_intervals"]
    assert hours["time_intervals"] == [
        {
            "weekdays": ["monday", "tuesday", "wednesday", "thursday", "friday"],
            "times": [{"start_time": "08:00", "end_time": "18:00"}],
            "location": "Europe/Berlin",
        }
    ]
    assert "time_intervals" not in alertmanager(rendered(SLACK))


@pytest.mark.tools
@pytest.mark.parametrize("days", ["fri-mon", "mon, wed,sat", "sun"])
def test_days_may_go_over_the_end_of_the_week(amtool: Path, rendered: Rendered, days: str) -> None:
    """Alertmanager refuses such a range itself: its week begins on Sunday."""
    folder = rendered(f"notify: {{office_hours: {{days: '{days}', from: '00:00', to: '24:00'}}}}\n")
    done = run(amtool, "check-config", folder / "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("tickets", [True, False])
def test_a_message_has_the_buttons_that_lead_somewhere(rendered: Rendered, *, tickets: bool) -> None:
    """Only an agent can be switched off, and only a team with Jira has tickets; Slack shows five buttons."""
    jira = "tickets: {jira: {url: 'http://jira.test', project: OPS, token_file: /x}}\n"
    receivers = by_name(rendered(SLACK + jira * tickets))
    buttons = {
        name: [button["text"] for button in receivers[name]["slack_configs"][0]["actions"]]
        for name in ("slack-agent", "slack")
    }
    ticket = ["Ticket"] * tickets
    assert buttons == {
        "slack-agent": ["Run-book", "Dashboard", *ticket, "Silence", "Switch off"],
        "slack": ["Run-book", "Dashboard", *ticket, "Silence"],
    }


def test_no_label_can_hold_what_a_model_wrote() -> None:
    """Labels decide who is told and what is grouped: each is one of a known few, and none is made from a text."""
    known = {"alertname", "severity", "sla", "agent", "owner", "source", "credential", "lane", "integration"}
    known |= {"rule_group", "job", "instance", "limit", "per", "pace", "scenario", "drilled", "basis"}
    known |= {"dataset", "gateway", "worker", "cron", "baseline"}
    rules = documents(every_limit(ROOT), SECRET_FILES)["rules/handrail.yml"]
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    assert not [rule for rule in alerts if any("{{" in value for value in rule["labels"].values())]
    assert {name for labels in ALERTS.values() for name in labels} <= known


def test_the_watchdog_beats_once_a_minute(rendered: Rendered) -> None:
    """It may be repeated at the second look, a minute after the last time, and not at the first."""
    (route,) = (r for r in alertmanager(rendered())["route"]["routes"] if r["receiver"] == "watchdog")
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("0s", "30s", "50s")


def test_what_mutes_and_what_is_muted_have_the_labels_that_must_be_equal(rendered: Rendered) -> None:
    """A label that both alerts lack counts as equal: then one alert would mute those of everybody."""
    for rule in alertmanager(rendered())["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            for label in rule["equal"]:
                assert label == "alertname" or f'{label}!=""' in rule[side], rule


def test_an_agent_that_is_off_mutes_its_other_alerts_and_nothing_about_its_switch(rendered: Rendered) -> None:
    """Whether a switch-off is proved must be told above all while the agent counts as off."""
    (rule,) = (r for r in alertmanager(rendered())["inhibit_rules"] if "AgentDisabled" in r["source_matchers"][0])
    assert rule["target_matchers"] == ['alertname=~"Agent.+"', 'alertname!="AgentDisabled"', 'agent!=""']
    assert rule["equal"] == ["agent"]


def test_secrets_of_every_way_are_placed_by_name() -> None:
    """Each secret has a file of its own, so that a copy of one never overwrites another."""
    files = SecretFiles.of(parse(MINIMAL + EVERY_WAY, environ={}), place)
    named = [files.webhook_token, files.slack_webhook_url, files.email_password, files.forward_token]
    named += files.owners_slack.values()
    assert None not in named
    assert len(set(named)) == len(named) == 5

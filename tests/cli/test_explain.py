"""`handrail explain` says what an alert means with the team's numbers, whether or not Prometheus answers."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from cli.alert_state import last_times, state_now
from cli.explain import explain
from handrail.http import build_client
from stack.past import Grid, Past, PastUnknown

CONFIG = """
sources: {n8n: [{name: main, url: "http://n8n.test", api_key_env: KEY}]}
slas:
  default: {}
  patient: {latency: {threshold: 60s, consecutive_calls: 4}}
agents:
  - name: invoices
    from: {n8n: main, workflow: Invoices}
    kill_switch: {n8n: deactivate}
    kill_on: [AgentSlowCallStreak]
  - {name: research, from: {n8n: main, workflow: Research}, sla: patient, owner: lab}
notify:
  slack: {webhook_url_file: /run/secrets/slack, channel: "#ops"}
  email: {smarthost: "smtp.test:587", from: handrail@example.com, to: [on-call@example.com]}
  office_hours: {days: mon-fri, from: "08:00", to: "18:00", time_zone: Europe/Berlin}
  owners: {lab: {email: [lab@example.com]}}
prometheus: {listen: "127.0.0.1:1"}
"""


def run(folder: Path, *arguments: str) -> Result:
    (folder / "handrail.yaml").write_text(CONFIG)
    return CliRunner().invoke(explain, ["--config", str(folder / "handrail.yaml"), *arguments])


def test_the_list_has_one_line_for_each_alert(tmp_path: Path, root: Path) -> None:
    """As many as there are headings in the run-book, but for the limits that are off."""
    off = {"AgentLatencyHigh", "AgentBaselineNotReady", "AgentCostHigh"}
    headings = [line[3:] for line in (root / "docs/alerts.md").read_text().splitlines() if line.startswith("## Agent")]
    lines = run(tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("Agent")] == [
        name for name in headings if name not in off
    ]
    assert off < set(headings)


def test_each_sla_speaks_of_its_own_numbers_and_agents(tmp_path: Path) -> None:
    """In a sentence and in the expression; who is told, and who is switched off."""
    result = run(tmp_path, "AgentSlowCallStreak")
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "Fires when 3 calls in a row took longer than 5s" in text
    assert "SLA default: invoices" in text
    assert "Fires when 4 calls in a row took longer than 1m" in text
    assert "SLA patient: research" in text
    assert 'sla="patient"' in text
    assert "Who is told Slack #ops e-mail to on-call@example.com the receiver" in text
    assert "e-mail to lab@example.com" in text
    assert "Europe/Berlin" not in text
    assert "invoices is switched off at once (kill_on)" in text
    assert "open its last runs" in text
    assert "Prometheus at http://127.0.0.1:1 does not answer" in text


def test_what_can_wait_is_told_in_office_hours_and_to_the_owner(tmp_path: Path) -> None:
    """As Alertmanager's own routes say; who has no warnings of an agent is not named for it."""
    (fires, _) = json.loads(run(tmp_path, "AgentTokenUsageHigh", "--agent", "research", "--json").stdout)["fires"]
    hours = ", mon-fri 08:00 to 18:00 Europe/Berlin only"
    told = [f"Slack #ops{hours}", f"e-mail to lab@example.com{hours}", "the receiver (no tickets are configured)"]
    assert fires["told"] == told


def test_one_agent_sees_only_what_holds_for_it(tmp_path: Path) -> None:
    """And a program gets the same as values."""
    explained = json.loads(run(tmp_path, "AgentSlowCallStreak", "--agent", "research", "--json").stdout)
    (fires,) = explained["fires"]
    assert (fires["sla"], fires["agents"]) == ("patient", ["research"])
    assert "longer than 1m" in fires["sentence"]
    assert "handrail_agent_info:bridged" in fires["expression"]
    assert explained["runbook"]["meaning"].startswith("Three calls of the agent")
    assert explained["note"].startswith("Prometheus at")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["AgentSlowCallStrek"], "did you mean AgentSlowCallStreak?"),
        (["budget"], "did you mean AgentErrorBudgetBurn?"),
        (["Nonsense!"], "handrail explain lists them all"),
        (["AgentStuck", "--agent", "nobody"], "there are: invoices, research"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(tmp_path: Path, arguments: list[str], says: str) -> None:
    """Exit code 2."""
    result = run(tmp_path, *arguments)
    assert (result.exit_code, says in result.output) == (2, True), result.output


SERIES = {
    "__name__": "ALERTS",
    "alertname": "AgentErrorBudgetBurn",
    "agent": "invoices",
    "pace": "slow",
    "sla": "default",
}


def answering(request: httpx.Request) -> httpx.Response:
    """As Prometheus does: fired twice, the second time until now, and pending before each."""
    query = dict(httpx.QueryParams(request.content.decode()))
    if request.url.path.endswith("query_range"):
        wanted = [t for t in (1000, 1015, 1030, 2000, 2015) if float(query["start"]) <= t <= float(query["end"])]
        rows = [{"metric": SERIES | {"alertstate": "firing"}, "values": [[t, "1"] for t in wanted]}] if wanted else []
    elif query["query"].startswith("ALERTS_FOR_STATE"):
        rows = [{"metric": SERIES | {"__name__": "ALERTS_FOR_STATE"}, "value": [2015, "1985"]}]
    else:
        rows = [{"metric": SERIES | {"alertstate": "firing"}, "value": [2015, "1"]}]
    return httpx.Response(200, json={"status": "success", "data": {"result": rows}})


def test_the_state_now_and_the_last_time_come_from_prometheus() -> None:
    """How long it lasted, how often it fired, and since when it is pending or firing."""
    with build_client(transport=httpx.MockTransport(answering)) as client:
        past = Past(client, "http://prometheus.test")
        (now,) = state_now(past, "AgentErrorBudgetBurn", None)
        (last,) = last_times(past, "AgentErrorBudgetBurn", "invoices", Grid(10_000, 2_015_000, 15_000))
    assert (now.state, now.about, now.since and now.since.timestamp()) == ("firing", "invoices (pace slow)", 1985)
    assert (last.begins.timestamp(), last.lasted.total_seconds(), last.fired) == (2000, 15, 2)


def test_what_prometheus_refuses_is_said_with_its_words() -> None:
    """Not taken for silence."""
    refusing = httpx.MockTransport(
        lambda _: httpx.Response(422, json={"status": "error", "error": "query processing would load too many samples"})
    )
    with build_client(transport=refusing) as client, pytest.raises(PastUnknown, match="too many samples"):
        Past(client, "http://prometheus.test").now("up")

"""What a real Alertmanager with the rendered configuration sends to Slack, by mail, and to the receiver."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from alerting.receiver.slack.client import SlackClient
from alerting.receiver.slack.messages import Mark
from alerting.render import SecretFiles, render
from drill.simulators.slack import WEBHOOK_PATH
from drill.simulators.slack_channel import BOT_TOKEN, CHANNEL_ID
from drill.simulators.slack_reading import read
from handrail.clock import SystemClock
from handrail.http import build_client
from handrail.notify_settings import Slack
from handrail.secret import Secret
from handrail.settings import parse
from tests.alerting.conftest import MINIMAL
from tests.alerting.running_alertmanager import Live, Outside, alert, outside, started, until
from tests.alerting.test_routes import ALERTS

pytestmark = pytest.mark.tools

WATCHDOG = {"alertname": "HandrailWatchdog", "severity": "info"}
AT = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"


def about(agent: str, alertname: str = "AgentSlowCallStreak", severity: str = "critical") -> dict[str, str]:
    """The labels of an alert about an agent."""
    return {"alertname": alertname, "severity": severity, "agent": agent, "sla": "default", "owner": "support"}


def test_slack_says_what_broke_since_when_and_what_to_press(live: Live) -> None:
    """What a person at night reads and can press, first firing, then resolved."""
    live.post(alert(about("night"), "night: 3 > 2 & <b>; &lt; too."))
    attachment = live.outside.told_slack("[FIRING] AgentSlowCallStreak night (critical)")
    shown = read(attachment)
    assert re.fullmatch(rf"night: 3 > 2 & <b>; &lt; too\. Since {AT}\.", shown.text)
    assert shown.footer == "SLA default · owner: support"
    assert attachment["fallback"] == (
        "[FIRING] AgentSlowCallStreak night (critical): night: 3 &gt; 2 &amp; &lt;b&gt;; &amp;lt; too."
    )
    assert attachment["color"] == "danger"
    buttons = {button["text"]: button["url"] for button in attachment["actions"]}
    assert list(buttons) == ["Run-book", "Dashboard", "Ticket", "Silence", "Switch off"]
    assert buttons["Ticket"] == "http://handrail.test/ticket/AgentSlowCallStreak?agent=night"
    assert buttons["Run-book"] == "http://handrail.test/runbook/AgentSlowCallStreak?agent=night"
    assert buttons["Dashboard"] == "http://handrail.test/?agent=night"
    assert buttons["Switch off"] == "http://handrail.test/agents/night/switch"
    assert buttons["Silence"].startswith(f"{live.url}/#/silences/new?filter=")
    silenced = unquote(urlsplit(buttons["Silence"]).fragment.removeprefix("/silences/new?filter="))
    assert silenced == '{agent="night",alertname="AgentSlowCallStreak"}'

    live.post(alert(about("night"), "night: 3 calls.", ended=True))
    attachment = live.outside.told_slack("[RESOLVED] AgentSlowCallStreak night (critical)")
    lines = read(attachment).text.splitlines()
    assert re.fullmatch(rf"Over since {AT}, after \d+s\. It was: night: 3 calls\.", lines[0])
    assert lines[1:] == ["Over is not mended: look for the cause."]
    assert attachment["color"] == "good"


def test_its_message_is_found_again_in_slack_by_alert_and_agent(live: Live) -> None:
    """What the receiver looks for is what the template writes; also of an alert about no agent, and never its end."""
    url = live.outside.slack_url.replace(WEBHOOK_PATH, "/api")
    token = Secret(env="BOT", environ={"BOT": BOT_TOKEN})
    place = Slack(webhook_url=token, bot_token=token, channel_id=CHANNEL_ID, api_url=url)
    pipeline = {"alertname": "OfNobody", "severity": "critical"}
    live.post(alert(about("known"), "known: 3 calls."))
    live.outside.told_slack("[FIRING] AgentSlowCallStreak known (critical)")
    live.post(alert(about("known"), "known: 3 calls.", ended=True))
    live.outside.told_slack("[RESOLVED] AgentSlowCallStreak known (critical)")
    live.post(alert(pipeline, "It does not answer."))
    live.outside.told_slack("[FIRING] OfNobody (critical)")
    messages = SlackClient(place, SystemClock()).history(oldest=0, latest=None, cursor=None).messages
    known = Mark("http://handrail.test", "AgentSlowCallStreak", "known")
    first = known.earliest(messages)
    assert first is not None
    assert known.earliest(message for message in messages if message["ts"] != first) is None
    assert Mark("http://handrail.test", "OfNobody", None).earliest(messages) is not None
    assert Mark("http://handrail.test", "AgentSlowCallStreak", None).earliest(messages) is None


def test_the_receiver_is_told_with_the_token_when_it_begins_and_ends(live: Live) -> None:
    """The webhook carries the bearer token out of its file, without the line end."""
    labels = about("told", "AgentErrorRatioHigh")
    live.post(alert(labels, "told: 2 of 51"))
    sent = live.outside.told(live.outside.receiver, "firing", "AgentErrorRatioHigh")
    assert sent["authorization"] == "Bearer token-of-the-webhook"
    assert sent["version"] == "4"
    assert sent["groupLabels"] == {"alertname": "AgentErrorRatioHigh", "agent": "told"}
    assert [a["labels"] for a in sent["alerts"]] == [labels]
    live.post(alert(labels, "told: 2 of 51", ended=True))
    assert live.outside.told(live.outside.receiver, "resolved", "AgentErrorRatioHigh")["status"] == "resolved"


def test_another_program_is_told_with_a_token_of_its_own(live: Live) -> None:
    """The generic webhook never sees the receiver's token."""
    live.post(alert(about("paged", "AgentStuck", "warning"), "paged: 31m"))
    sent = live.outside.told(live.outside.pager, "firing", "AgentStuck")
    assert sent["authorization"] == "Bearer token-of-the-pager"


def test_a_mail_says_the_same_as_slack_in_plain_text(live: Live) -> None:
    """Nothing in it is HTML, and its links are only ours."""
    live.post(alert(about("mailed", "AgentLowConfidence", "warning"), "mailed: 30% < 80% & <b>x</b> http://evil.test"))
    while "mailed" not in (mail := live.outside.mails.get(timeout=30))["Subject"]:
        pass
    assert mail["Subject"] == "[FIRING] AgentLowConfidence mailed (warning)"
    assert (mail["From"], mail["To"]) == ("handrail@example.com", "on-call@example.com")
    assert [part.get_content_type() for part in mail.walk() if not part.is_multipart()] == ["text/plain"]
    body = mail.get_body(("plain",))
    assert body is not None
    lines = body.get_content().splitlines()
    assert re.fullmatch(rf"mailed: 30% < 80% & <b>x</b> hxxp://evil\.test Since {AT}\.", lines[0])
    assert re.findall(r"http\S+", body.get_content()) == [
        "http://handrail.test/runbook/AgentLowConfidence?agent=mailed",
        "http://handrail.test/?agent=mailed",
        "http://handrail.test/ticket/AgentLowConfidence?agent=mailed",
    ]


def test_the_watchdog_reaches_no_person(live: Live) -> None:
    """An alert about no agent, posted with it, is the sign that Slack had its chance; it has no switch either."""
    live.post(alert(WATCHDOG, "alive"), alert({"alertname": "Other", "severity": "warning"}, "other"))
    assert live.outside.told(live.outside.receiver, "firing", "HandrailWatchdog")["receiver"] == "watchdog"
    attachment = live.outside.told_slack("[FIRING] Other (warning)")
    assert attachment["color"] == "warning"
    assert read(attachment).footer == "Handrail itself"
    assert [button["text"] for button in attachment["actions"]] == ["Run-book", "Dashboard", "Ticket", "Silence"]
    assert parse_qs(urlsplit(attachment["actions"][0]["url"]).query) == {}
    assert not [message for message in live.outside.slack.messages if "Watchdog" in str(message)]


def test_of_thirty_alerts_five_are_listed_and_the_rest_counted(live: Live) -> None:
    """One message, which Slack does not cut, however long each text is."""
    labels = {"alertname": "Many", "severity": "warning"}
    many = [alert(labels | {"credential": f"n8n/{i:02}"}, f"line {i:02} " + "&" * 2_000) for i in range(30)]
    live.post(*many)
    shown = read(live.outside.told_slack("[FIRING:30] Many (warning)"))
    lines = shown.text.splitlines()
    assert [line[:8] for line in lines[:-1]] == [f"line {i:02} " for i in range(5)]
    assert all(len(line.split(" Since ")[0]) == 301 and "…" in line for line in lines[:-1])
    assert lines[-1] == "+25 more."
    assert not shown.cut

    live.post(*(alert(one["labels"], "line", ended=True) for one in many[:29]))
    shown = read(live.outside.told_slack("[FIRING] Many (warning)"))
    assert shown.text.splitlines()[-1] == "29 more of this kind are over."


HOSTILE = (
    "<!channel> <!here> <@U0123> <https://evil.test|your bank> *bold* _so_ ~gone~ `code` ```block``` "
    "https://evil.test/login \u202etxt.exe\u202c \u200bhidden\u2066x\u2069 \x1b[31mred\x1b[0m\nsecond line\r\nthird"
)


def test_what_a_model_wrote_is_only_text(live: Live) -> None:
    """It notifies nobody, leads nowhere, is not set in bold, hides nothing and begins no line of its own."""
    live.post(alert(about("hostile", "AgentHandoffsRising", "warning"), HOSTILE))
    attachment = live.outside.told_slack("[FIRING] AgentHandoffsRising hostile (warning)")
    shown = read(attachment)
    assert (shown.mentions, shown.links, shown.styled) == ((), (), False)
    assert len(shown.text.splitlines()) == 1
    assert shown.text.startswith("<!channel> <!here> <@U0123> <hxxps://evil.test|your bank> *bold* _so_ ~gone~ `code`")
    assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", str(attachment["text"]).strip())


def test_every_alert_of_the_rules_is_readable_when_it_fires_and_when_it_is_over(live: Live) -> None:
    """With all its labels: nothing is missing, folded, cut or left of the template."""
    # An agent or a source each, or one alert would mute another.
    sent = [
        labels | {name: f"{name}-{i}" for name in ("agent", "source") if name in labels}
        for i, labels in enumerate(ALERTS.values())
        if labels["alertname"] not in ("HandrailWatchdog", "AgentTokenBaselineNotReady", "AgentBaselineNotReady")
    ]
    for ended, status in ((False, "FIRING"), (True, "RESOLVED")):
        live.post(*(alert(labels, "what it says.", ended=ended) for labels in sent))
        for labels in sent:
            attachment = seen(live.outside, status, labels)
            shown = read(attachment)
            assert "what it says." in shown.text
            assert shown.footer.startswith("SLA default · owner: " if "sla" in labels else ("owner: ", "Handrail"))
            assert not shown.cut and not shown.folded, shown.text
            assert not re.search(r"\{\{|<no value>|%!|\(\)", str(attachment))


def seen(world: Outside, status: str, labels: dict[str, str]) -> dict[str, object]:
    """The message about such an alert, with however many of its kind."""
    kind = " ".join(filter(None, [labels["alertname"], labels.get("agent"), f"({labels['severity']})"]))
    several = [1, *range(2, 10)]
    titles = [f"[{status}{f':{n}' if n > 1 and status == 'FIRING' else ''}] {kind}" for n in several]
    found = until(
        lambda: [m["attachments"][0] for m in list(world.slack.messages) if m["attachments"][0]["title"] in titles],
        kind,
    )
    return dict(found[-1])


@pytest.mark.parametrize("inside", [True, False], ids=["in office hours", "out of office hours"])
def test_out_of_office_hours_only_what_is_critical_is_told(
    own_alertmanager: Path, tmp_path: Path, *, inside: bool
) -> None:
    """Tickets are opened at any time."""
    day = datetime.now(UTC) + timedelta(days=0 if inside else 3)
    days = "mon-sun" if inside else f"{day:%a}".lower()
    with outside() as world, build_client() as client:
        (tmp_path / "slack").write_text(world.slack_url)
        (tmp_path / "token").write_text("token")
        settings = parse(
            MINIMAL + f"notify: {{slack: {{webhook_url_file: {tmp_path}/slack}}, group_wait: 0s, group_interval: 1s, "
            f"office_hours: {{days: {days}, from: '00:00', to: '24:00', time_zone: UTC}}}}\n"
            f"receiver: {{listen: '{world.url.removeprefix('http://')}', webhook_token_file: {tmp_path}/token}}\n",
            environ={},
        )
        render(settings, tmp_path, SecretFiles.of(settings, lambda _, secret: secret.file or tmp_path))
        with started(own_alertmanager, tmp_path / "alertmanager.yml", client) as url:
            live = Live(url, world, client)
            live.post(alert(about("later", "AgentStuck", "warning"), "can wait"))
            assert world.told(world.receiver, "firing", "AgentStuck")
            live.post(alert(about("now", "AgentErrorRatioHigh"), "cannot wait"))
            world.told_slack("[FIRING] AgentErrorRatioHigh now (critical)")
            if inside:
                world.told_slack("[FIRING] AgentStuck later (warning)")
            assert any("can wait" in str(message) for message in world.slack.messages) == inside

"""A simulated Slack in front of a receiver, with what Alertmanager writes there."""

from __future__ import annotations

from typing import Any

from drill.simulators.slack import SlackSimulator
from drill.simulators.slack_channel import BOT_TOKEN, CHANNEL_ID
from handrail.notify_settings import Notify, Slack
from handrail.secret import Secret

PUBLIC = "http://handrail.example"
ALERT, AGENT = "AgentErrorRatioHigh", "invoice"


class InSlack:
    """The channel in front of the bench, and what Alertmanager writes there."""

    def __init__(self, bench: Any, slack: SlackSimulator, url: str, folder: Any) -> None:
        self.bench, self.simulator, self.channel = bench, slack, slack.channel
        self.token = folder / "secrets" / "slack_bot"
        self.token.write_text(f"{BOT_TOKEN}\n")
        self.place = Slack(
            webhook_url=Secret(env="NOWHERE"),
            bot_token=Secret(file=self.token),
            channel_id=CHANNEL_ID,
            api_url=f"{url}/api",
        )
        self.configure(Notify(slack=self.place))

    def configure(self, notify: Notify) -> None:
        """Start the receiver again with these ways, on the same database."""
        self.bench.settings = self.bench.settings.model_copy(update={"notify": notify})
        self.bench.restart()

    def says(
        self, status: str = "FIRING", alertname: str = ALERT, agent: str | None = AGENT, *, public: str = PUBLIC
    ) -> str:
        """A message as the rendered template makes it; its address."""
        about = f"?agent={agent}" if agent else ""
        ways = (
            ("Run-book", f"{public}/runbook/{alertname}{about}"),
            ("Dashboard", f"{public}/{about}"),
            ("Ticket", f"{public}/ticket/{alertname}{about}"),
            ("Silence", f"http://alertmanager.example/#/silences/new?filter=%7Balertname%3D%22{alertname}%22%7D"),
        )
        attachment = {
            "title": f"[{status}] {alertname} {agent} (critical)",
            "title_link": f"{public}/{about}",
            "text": "4.2% of 52 calls failed. Since 2026-11-25 02:13 UTC.",
            "color": "danger" if status == "FIRING" else "good",
            "mrkdwn_in": ["pretext"],
            "actions": [{"type": "button", "text": name, "url": url} for name, url in ways],
        }
        ts = self.channel.add({"channel": "#ops", "attachments": [attachment]})
        return f"{self.channel.site}/archives/{CHANNEL_ID}/p{ts.replace('.', '')}"

    def linked(self, ticket: int = 0) -> list[str]:
        """Where the ticket's links to Slack lead."""
        links = self.bench.jira.issues[ticket].remote_links
        return [link["object"]["url"] for link in links if link["globalId"] == "handrail-slack"]

    def ended(self, outcome: str) -> float:
        """How many searches ended so."""
        return float(self.bench.metric(f'handrail_slack_links_total{{outcome="{outcome}"}}'))

    @property
    def looks(self) -> int:
        """How often the channel was read."""
        return int(self.channel.asked.get("conversations.history", 0))

"""Who is told of an alert, in words."""

from __future__ import annotations

from collections.abc import Iterator

from alerting.alert_rules import AlertRule, Rules
from alerting.routing import Told, told
from handrail.settings import Settings

# Stands for an agent that the file does not name.
_SOMEONE = "some-agent"


def who_is_told(rule: AlertRule, agents: tuple[str, ...], rules: Rules, settings: Settings) -> tuple[str, ...]:
    """Each way with what is told there; where agents are told of differently, whose agents it is about."""
    if "{{ $labels.agent" not in rule.annotations["description"]:
        return tuple(_ways(rule, {}, rules, settings))
    by_agent = {
        agent: tuple(_ways(rule, {"agent": agent, "owner": _owner(agent, settings)}, rules, settings))
        for agent in agents or (_SOMEONE,)
    }
    if len(set(by_agent.values())) == 1:
        lines = next(iter(by_agent.values()))
    else:
        lines = tuple(f"{agent}: {way}" for agent, ways in by_agent.items() for way in ways)
    kills = (each.name for each in settings.agents if rule.name in each.kill_on and each.name in by_agent)
    return (*lines, *(f"{agent} is switched off at once (kill_on)" for agent in kills))


def _owner(agent: str, settings: Settings) -> str:
    configured = settings.agent(agent)
    return (configured.owner if configured else None) or ""


def _ways(rule: AlertRule, about: dict[str, str], rules: Rules, settings: Settings) -> Iterator[str]:
    labels = {"alertname": rule.name, **rule.labels, **about}
    ways = dict.fromkeys(way for one in told(rules.alertmanager, labels) for way in _way(one, settings))
    yield from ways or ("nobody: it stands on the pages only",)


def _way(one: Told, settings: Settings) -> Iterator[str]:
    hours = settings.notify.office_hours
    when = ""
    if one.only_in and hours:
        when = f", {hours.days} {hours.start} to {hours.end} {hours.time_zone} only"
    for slack in one.receiver.get("slack_configs", ()):
        yield f"Slack {slack.get('channel') or '(the channel of its webhook)'}{when}"
    for email in one.receiver.get("email_configs", ()):
        yield f"e-mail to {email['to']}{when}"
    for webhook in one.receiver.get("webhook_configs", ()):
        jira = settings.tickets.jira
        ticket = f"a ticket in the Jira project {jira.project}" if jira else "the receiver (no tickets are configured)"
        ours = {"receiver": ticket, "watchdog": "the receiver, which notices when it stops"}
        yield ours.get(one.receiver["name"], f"the webhook {webhook['url']}{when}")

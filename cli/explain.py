"""`handrail explain`: what an alert means, when it fires with the team's numbers, who is told, and whether it fires."""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path

import click
from rich.console import Console

from alerting.alert_rules import AlertRule, Rules, rules_of
from alerting.runbook import Runbook, alerts_described, runbook_of
from alerting.sentences import sentence
from cli.alert_state import last_times, state_now
from cli.configuration import config_option, load_or_exit
from cli.explain_page import Explained, Fires, print_list, print_page
from cli.told import who_is_told
from handrail.clock import Clock, SystemClock
from handrail.http import build_client
from handrail.settings import Settings
from stack.past import Grid, Past, PastUnknown
from stack.plan import reachable

_WIDTH_WHEN_PIPED = 120


@click.command()
@config_option
@click.argument("alert", required=False)
@click.option("--agent", help="Only what is about this agent.")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def explain(config: Path, alert: str | None, agent: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Say in plain words what an alert means and when it fires, with your numbers. Without ALERT: list all of them.

    Prometheus is asked when it last fired. If it does not answer, everything else is said all the same.
    """
    settings = load_or_exit(config)
    # To render the rules takes seconds; a typo is answered at once.
    if alert is not None and alert not in alerts_described():
        raise click.UsageError(_unknown(alert))
    if agent is not None:
        _check_agent(agent, settings)
    rules = rules_of(settings)
    if alert is None:
        _list(rules, as_json=as_json)
        return
    known = [rule for rule in rules.alerts if rule.name == alert and _holds_for(rule, agent, settings)]
    explained = _with_state(_explained(known, agent, settings, rules), settings, SystemClock())
    if as_json:
        click.echo(json.dumps(asdict(explained), indent=1, default=_plain))
    else:
        print_page(_console(), explained)


def _list(rules: Rules, *, as_json: bool) -> None:
    first: dict[str, AlertRule] = {}
    for rule in rules.alerts:
        first.setdefault(rule.name, rule)
    rows = [(name, rule.labels["severity"], rule.annotations["summary"]) for name, rule in first.items()]
    if as_json:
        named = [dict(zip(("alert", "severity", "summary"), row, strict=True)) for row in rows]
        click.echo(json.dumps(named, indent=1))
    else:
        print_list(_console(), rows)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_WHEN_PIPED)


def _unknown(alert: str) -> str:
    names = {name.lower(): name for name in alerts_described()}
    near = [names[name] for name in difflib.get_close_matches(alert.lower(), names, n=3, cutoff=0.6)]
    near = near or [name for low, name in names.items() if alert.lower() in low]
    hint = f"did you mean {' or '.join(near)}?" if near else "handrail explain lists them all"
    return f"there is no alert named {alert!r}; {hint}"


def _check_agent(agent: str, settings: Settings) -> None:
    discovers = any(n8n.discover for n8n in settings.sources.n8n)
    discovers = discovers or any(cloudflare.discover for cloudflare in settings.sources.cloudflare)
    if settings.agent(agent) is None and not discovers:
        names = ", ".join(each.name for each in settings.agents)
        raise click.UsageError(f"there is no agent {agent!r}; there are: {names or 'none'}")


def _holds_for(rule: AlertRule, agent: str | None, settings: Settings) -> bool:
    """An agent that the file does not name may be discovered, and is held to `default`."""
    configured = settings.agent(agent) if agent else None
    return agent is None or rule.sla in (None, configured.sla if configured else "default")


def _explained(known: list[AlertRule], agent: str | None, settings: Settings, rules: Rules) -> Explained:
    return Explained(
        alert=known[0].name,
        agent=agent,
        summary=known[0].annotations["summary"],
        runbook=runbook_of(known[0].name) or Runbook("", "", "", "", ""),
        fires=tuple(_fires(rule, agent, settings, rules) for rule in known),
    )


def _fires(rule: AlertRule, agent: str | None, settings: Settings, rules: Rules) -> Fires:
    held_to = tuple(each.name for each in settings.agents if rule.sla == each.sla)
    agents = (agent,) if agent else held_to
    return Fires(
        sentence=sentence(rule, settings),
        expression=rule.expr.strip(),
        severity=rule.labels["severity"],
        sla=rule.sla,
        agents=agents,
        for_=rule.for_,
        keep_firing_for=rule.keep_firing_for,
        told=who_is_told(rule, agents, rules, settings),
    )


def _with_state(explained: Explained, settings: Settings, clock: Clock) -> Explained:
    prometheus, end = settings.prometheus, clock.now()
    grid = Grid.between(end - prometheus.retention, end, prometheus.evaluation_interval)
    try:
        with build_client(timeout_s=60) as client:
            past = Past(client, f"http://{reachable(prometheus.listen)}")
            now = tuple(state_now(past, explained.alert, explained.agent))
            last = tuple(last_times(past, explained.alert, explained.agent, grid))
    except PastUnknown as error:
        return replace(explained, note=str(error))
    return replace(explained, now=now, last=last, kept=prometheus.retention)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else str(value)

"""`handrail check`: is the file right, and can the secrets it names be read?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from cli.configuration import config_option, load_or_exit
from handrail.secret import Secret, SecretError
from handrail.settings import Settings

# The second kind is one that Slack renews by itself, for apps with token rotation.
_BOT_TOKENS = ("xoxb-", "xoxe.xoxb-")


@click.command()
@config_option
def check(config: Path) -> None:
    """Say what is wrong with the configuration, in one screen. Exit code 2 if anything is."""
    settings = load_or_exit(config)
    problems = list(_unreadable(settings))
    for path, text in problems:
        click.echo(f"  {path}: {text}", err=True)
    if problems:
        raise SystemExit(2)
    sources = len(settings.sources.n8n) + len(settings.sources.cloudflare)
    click.echo(f"{config}: good. {sources} source(s), {len(settings.agents)} agent(s), {len(settings.slas)} SLA(s).")


def _unreadable(settings: Settings) -> Iterator[tuple[str, str]]:
    for path, secret in _secrets(settings):
        try:
            value = secret.read()
        except SecretError as error:
            yield path, str(error)
        else:
            # A webhook's URL, a signing secret or a user's token lie beside it on Slack's pages.
            if path.endswith("slack.bot_token") and not value.startswith(_BOT_TOKENS):
                yield path, f"{secret.where} holds no bot token, which begins with xoxb- (OAuth & Permissions in Slack)"


def _secrets(settings: Settings) -> Iterator[tuple[str, Secret]]:
    for n8n in settings.sources.n8n:
        yield f"sources.n8n.{n8n.name}.api_key", n8n.api_key
    for cloudflare in settings.sources.cloudflare:
        yield f"sources.cloudflare.{cloudflare.name}.api_token", cloudflare.api_token
    for agent in settings.agents:
        if agent.handoff_token:
            yield f"agents.{agent.name}.handoff_token", agent.handoff_token
    for path, _, secret in settings.notify.secrets():
        yield f"notify.{path}", secret
    if settings.tickets.jira:
        yield "tickets.jira.token", settings.tickets.jira.token

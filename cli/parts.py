"""The receiver and the simulated world: each runs until SIGTERM or Ctrl-C. The exporter is in a file of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import click

import alerting.receiver.app
from alerting.receiver.server import CannotServe
from cli.configuration import config_option, load_or_exit
from drill.simulators.world import run as run_world
from handrail import logs
from handrail.agent_settings import EnvFileSwitch
from handrail.ports import Ports


@click.command("receiver")
@config_option
def receiver(config: Path) -> None:
    """Take alerts and hand-offs, open tickets and operate the switches."""
    settings = load_or_exit(config)
    logs.configure(sys.stderr)
    try:
        alerting.receiver.app.run(settings)
    except CannotServe as error:
        raise click.ClickException(str(error)) from error


@click.command()
@config_option
@click.option("--port-offset", type=int, default=0, envvar="PORT_OFFSET", help="Added to every port of the world.")
def world(config: Path, port_offset: int) -> None:
    """Serve the simulated n8n, Cloudflare, model, Jira and Slack, with steady traffic."""
    settings = load_or_exit(config)
    logs.configure(sys.stderr)
    support_bot, refund_desk = settings.agent("support-bot"), settings.agent("refund-desk")
    switch = support_bot.kill_switch if support_bot else None
    tokens = [agent.handoff_token for agent in (support_bot, refund_desk) if agent and agent.handoff_token]
    if not isinstance(switch, EnvFileSwitch) or len(tokens) != 2:
        raise click.UsageError("the simulated world needs its own configuration; run make up without a handrail.yaml")
    run_world(
        Ports(offset=port_offset),
        receiver_url=f"http://{settings.receiver.listen}",
        support_bot_token=tokens[0].read(),
        refund_desk_token=tokens[1].read(),
        support_bot_env=switch.env_file,
    )

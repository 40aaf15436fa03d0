"""The receiver and the simulated world: each runs until SIGTERM or Ctrl-C. The exporter is in a file of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import click

import alerting.receiver.app
from alerting.receiver.server import CannotServe
from cli.configuration import config_option, listen_option, load_or_exit
from drill.simulators.world import run as run_world
from handrail import logs
from handrail.agent_settings import EnvFileSwitch
from handrail.ports import Ports


@click.command("receiver")
@config_option
@listen_option
def receiver(config: Path, listen: str | None) -> None:
    """Take alerts and hand-offs, open tickets and operate the switches."""
    settings = load_or_exit(config)
    if listen is not None:
        settings = settings.model_copy(update={"receiver": settings.receiver.model_copy(update={"listen": listen})})
    logs.configure(sys.stderr)
    try:
        alerting.receiver.app.run(settings)
    except CannotServe as error:
        raise click.ClickException(str(error)) from error


@click.command()
@config_option
@click.option("--port-offset", type=int, default=0, envvar="PORT_OFFSET", help="Added to every port of the world.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; in a container 0.0.0.0.")
def world(config: Path, port_offset: int, host: str) -> None:
    """Serve the simulated n8n, Cloudflare, model, Jira and Slack, with steady traffic."""
    settings = load_or_exit(config)
    logs.configure(sys.stderr)
    support_bot, refund_desk = settings.agent("support-bot"), settings.agent("refund-desk")
    switch = support_bot.kill_switch if support_bot else None
    tokens = [agent.handoff_token for agent in (support_bot, refund_desk) if agent and agent.handoff_token]
    if not isinstance(switch, EnvFileSwitch) or len(tokens) != 2:
        raise click.UsageError("the simulated world needs its own configuration; run make up without a handrail.yaml")
    run_world(
        Ports(offset=port_offset, host=host),
        receiver_url=f"http://{settings.receiver.listen}",
        support_bot_token=tokens[0].read(),
        refund_desk_token=tokens[1].read(),
        support_bot_env=switch.env_file,
    )

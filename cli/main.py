"""`handrail`: mounts one file per command group and turns errors into messages and exit codes."""

from __future__ import annotations

import click

from cli.backfill import backfill
from cli.calls import calls
from cli.check import check
from cli.drill import drill
from cli.parts import exporter_command, receiver, world
from cli.render import render
from cli.stack import stack
from cli.test_rules import test_rules
from handrail import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="handrail")
def main() -> None:
    """Production support in a box for AI automations on n8n and Cloudflare."""


for command in (check, render, test_rules, exporter_command, receiver, world, stack, drill, calls, backfill):
    main.add_command(command)

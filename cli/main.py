"""`handrail`: mounts one file per command group and turns errors into messages and exit codes.

A command's file is imported when the command is asked for: the exporter need not wait for what the receiver imports.
"""

from __future__ import annotations

from importlib import import_module

import click

from handrail import __version__

# Command, and where it is: module and name.
COMMANDS = {
    "audit": ("cli.audit", "audit"),
    "backfill": ("cli.backfill", "backfill"),
    "backtest": ("cli.backtest", "backtest"),
    "calls": ("cli.calls", "calls"),
    "check": ("cli.check", "check"),
    "drill": ("cli.drill", "drill"),
    "explain": ("cli.explain", "explain"),
    "exporter": ("cli.exporter", "exporter_command"),
    "outbox": ("cli.outbox", "outbox"),
    "receiver": ("cli.parts", "receiver"),
    "render": ("cli.render", "render"),
    "stack": ("cli.stack", "stack"),
    "test-rules": ("cli.test_rules", "test_rules"),
    "world": ("cli.parts", "world"),
}


class _Commands(click.Group):
    """Knows all commands by name and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="handrail")
def main() -> None:
    """Production support in a box for AI automations on n8n and Cloudflare."""

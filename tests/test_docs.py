"""The documents say what the program does: every setting, every alert, every link, every path."""

from __future__ import annotations

import ast
import pathlib
import re
import typing

import click
import pytest
from pydantic import BaseModel

from cli.main import main
from handrail.fields import Model
from handrail.references import AGENT_ALERTS
from handrail.secret import Secret
from handrail.settings import Settings
from tests.every_limit import every_rule

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def settings_of(model: type[BaseModel], prefix: str = "") -> typing.Iterator[str]:
    for name, info in model.model_fields.items():
        path = prefix + (info.alias or name)
        inner = [kind for kind in _kinds(info.annotation) if isinstance(kind, type) and issubclass(kind, Model)]
        if len(inner) != 1:
            yield path
            continue
        origin = typing.get_origin(info.annotation)
        yield from settings_of(inner[0], path + {tuple: "[].", dict: ".*."}.get(origin, "."))


def _kinds(annotation: object) -> list[object]:
    arguments = typing.get_args(annotation)
    return [kind for argument in arguments for kind in _kinds(argument)] if arguments else [annotation]


def test_every_setting_stands_in_the_configuration_page_and_nothing_else():
    """Written as a path; what was removed from the program is removed from the page."""
    page = (ROOT / "docs" / "configuration.md").read_text()
    documented = re.findall(r"^\| `([a-z0-9_.*\[\]]+)` \|", page, re.MULTILINE)
    assert sorted(documented) == sorted(settings_of(Settings))
    assert Secret in _kinds(Settings.model_fields["receiver"].annotation.model_fields["webhook_token"].annotation)


def test_every_alert_has_its_heading_in_the_run_book():
    """Also those that switch agents off."""
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "alerts.md").read_text(), re.MULTILINE)
    alerts = {rule.name for rule in every_rule(ROOT).alerts}
    assert alerts == set(headings)
    assert set(AGENT_ALERTS) < alerts


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every relative link names a file or folder that exists."""
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(page):
    """A command a reader would type."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for named in re.findall(r"(?:`|^)make ([a-z0-9-]+)", page.read_text(), re.MULTILINE):
        assert named in targets, named


def commands_of(group: click.Group, prefix: str = "handrail") -> typing.Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands_of(command, f"{prefix} {name}")
        elif not command.hidden:
            yield f"{prefix} {name}"


def test_every_command_stands_in_the_page_of_commands_and_nothing_else():
    """One row of the table for each."""
    rows = re.findall(r"^\| `(handrail [a-z -]+?)`", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(commands_of(main))


def test_every_option_of_a_command_that_is_named_exists():
    """`handrail calls --follow` is a command with that option, on every page."""
    for page in PAGES:
        for written in re.findall(r"`(handrail [a-z][^`\n]*)`", page.read_text()):
            command, words = main, written.split()[1:]
            while isinstance(command, click.Group) and words:
                below = command.get_command(click.Context(command), words[0])
                if below is None:
                    break
                command, words = below, words[1:]
            assert command is not main, f"{page.name}: {written}"
            known = {name for parameter in command.params for name in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known | {"--help"}, f"{page.name}: {written}"


LEVELS = {"debug", "info", "warning", "error", "exception"}


def events_of(path: pathlib.Path) -> typing.Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            logs = "log" in ast.unparse(node.func.value).lower()
            if logs and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def test_every_log_event_stands_in_the_page_of_running_and_nothing_else():
    """One row for each, or two in one; what is logged by a name that is not written out could not be looked up."""
    packages = ("handrail", "exporter", "alerting", "stack", "drill", "cli")
    written = {event for package in packages for path in (ROOT / package).rglob("*.py") for event in events_of(path)}
    section = (ROOT / "docs" / "running.md").read_text().split("## What the log says")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[a-z_, `]+`) \|", section, re.MULTILINE)
    assert {event for row in rows for event in re.findall(r"[a-z_]+", row)} == written

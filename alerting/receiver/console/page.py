"""Renders a page: everything is escaped by the templates, and names keep their direction of writing to themselves."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from alerting.receiver.console import sparkline
from handrail.settings import Team

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"


class Page:
    """The templates, with what they may use."""

    def __init__(self, team: Team | None) -> None:
        """`team` is None only where nothing is rendered."""
        self._team = team
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"ago": ago, "utc": utc, "name": isolated, "seconds": _seconds, "percent": _percent}
        self._templates.globals |= {"WIDTH": sparkline.WIDTH, "HEIGHT": sparkline.HEIGHT}

    def render(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """The page made of this template."""
        html = self._templates.get_template(template).render(team=self._team, **values)
        return HTMLResponse(html, status_code=status)


def ago(at: datetime | str | float | None, now: datetime) -> Markup:
    """How long ago it was, in one unit, with the moment itself for programs and for who points at it."""
    if at is None:
        return Markup("")
    moment = _moment(at, now)
    past = _length(now - moment)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), utc(moment), past
    )


def utc(at: datetime) -> str:
    """As people write a moment."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def isolated(text: str) -> Markup:
    """A name whose direction of writing does not turn what stands beside it."""
    return Markup("<bdi>{}</bdi>").format(escape(text))


def _moment(at: datetime | str | float, now: datetime) -> datetime:
    if isinstance(at, str):
        return datetime.fromisoformat(at)
    return at if isinstance(at, datetime) else datetime.fromtimestamp(at, now.tzinfo)


def _length(length: timedelta) -> str:
    seconds = length.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (unit == "min" and seconds >= size):
            return f"{int(seconds // size)} {unit}"
    return "less than 1 min"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value * 100:.2f}"

"""Everything the receiver serves: paths for programs, pages for people, one way to answer what goes wrong."""

from __future__ import annotations

from typing import Any, cast

from fastapi import FastAPI
from fastapi.routing import APIRoute

from alerting.receiver.api import agents, alerts, drills, failures, handoffs, health, openapi, switching
from alerting.receiver.api.headers import SafeHeaders
from alerting.receiver.api.parts import Parts
from alerting.receiver.console import assets, console, pages, signing_in
from alerting.receiver.console.console import Console
from alerting.receiver.console.page import Page
from alerting.receiver.console.pages import Pages
from alerting.receiver.console.signing_in import SigningIn
from handrail import __version__


def application(parts: Parts) -> FastAPI:
    """The web application in front of `parts`."""
    app = FastAPI(
        title="Handrail receiver", version=__version__, docs_url=None, redoc_url=None, generate_unique_id_function=_name
    )
    for group in (health, alerts, handoffs, agents, switching, drills):
        group.routes(app, parts)
    # Without parts only the interface for programs is looked at.
    page = Page(parts.settings.team if parts else None)
    for_people, door = Pages(parts, page), SigningIn(parts, page)
    pages.routes(app, for_people)
    signing_in.routes(app, parts, door)
    console.routes(app, parts, Console(parts, page), door)
    assets.routes(app)
    failures.handlers(app, parts, for_people.problem)
    openapi.publish(app)
    app.add_middleware(SafeHeaders)
    return app


def _name(route: APIRoute) -> str:
    return route.name


def interface() -> dict[str, Any]:
    """The OpenAPI document, of paths with nothing behind them: they are mounted without a look at it."""
    return application(cast("Parts", None)).openapi()

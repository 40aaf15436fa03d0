"""The pages that need no sign-in: the run-book, the way to a ticket, and what went wrong. They change nothing."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import RedirectResponse
from markdown_it import MarkdownIt

from alerting.receiver import incidents
from alerting.receiver.api.access import Refused
from alerting.receiver.api.parts import Parts
from alerting.receiver.console.page import Page
from alerting.runbook import RUNBOOK, section_of
from handrail.database import reading


class Pages:
    """Answers with pages; `runbook` is the Markdown file with one heading per alert."""

    def __init__(self, parts: Parts, page: Page, runbook: Path = RUNBOOK) -> None:
        self._parts = parts
        self._page = page
        self._runbook = runbook
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    def runbook(self, alertname: str, agent: str | None) -> Response:
        """The alert's section of the run-book, with the agent it is about."""
        section = section_of(alertname, self._runbook)
        if section is None:
            raise Refused(404, "the run-book has no such alert")
        row = next((row for row in self._parts.overview.read().agents if row.name == agent), None)
        body = self._markdown.render(section)
        return self._page.render("runbook.html", alertname=alertname, agent=row, body=body, visitor=None)

    def ticket(self, alertname: str, agent: str | None) -> Response:
        """On to the newest ticket about the alert; a message is sent before its ticket has a key."""
        with reading(self._parts.engine).connect() as connection:
            row = incidents.about(connection, alertname, agent)
        jira = self._parts.settings.tickets.jira
        if jira and row and row.ticket_key:
            return RedirectResponse(jira.browse(row.ticket_key), status_code=302)
        opening = jira is not None and row is not None
        status = 200 if opening else 404
        return self._page.render(
            "ticket.html", status=status, alertname=alertname, agent=agent, opening=opening, visitor=None
        )

    def problem(self, status: int, text: str) -> Response:
        """What went wrong, as a page."""
        return self._page.render("problem.html", status=status, text=text, visitor=None)


def routes(app: FastAPI, pages: Pages) -> None:
    """Mount the pages, which are not part of the interface for programs."""
    router = APIRouter(include_in_schema=False)

    @router.get("/runbook/{alertname}")
    def runbook(alertname: str, agent: str | None = None) -> Response:
        return pages.runbook(alertname, agent)

    @router.get("/ticket/{alertname}")
    def ticket(alertname: str, agent: str | None = None) -> Response:
        return pages.ticket(alertname, agent or None)

    app.include_router(router)

"""The pages for people: overview, run-book and switch. A GET changes nothing; switching needs the operator token.

Everything is escaped by the templates, and no page may load anything from elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt

from alerting.receiver import flags, incidents, kills
from alerting.receiver.api.access import Refused
from alerting.receiver.api.body import read_body
from alerting.receiver.api.parts import Parts
from alerting.receiver.api.switching import MAX_BYTES, switch_agent
from alerting.runbook import RUNBOOK, section_of
from handrail.database import reading

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"


class Pages:
    """Renders pages; `runbook` is the Markdown file with one heading per alert."""

    def __init__(self, parts: Parts, runbook: Path = RUNBOOK) -> None:
        self._parts = parts
        self._runbook = runbook
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    def overview(self, agent: str | None) -> Response:
        """Every agent, or the one asked for."""
        view = self._parts.overview.read()
        shown = [row for row in view.agents if agent in (None, row.name)]
        listed = [row for row in view.incidents if agent in (None, row["agent"])]
        return self._page("overview.html", view=view, agents=shown, incidents=listed, only=agent)

    def runbook(self, alertname: str, agent: str | None) -> Response:
        """The alert's section of the run-book, with the agent it is about."""
        section = section_of(alertname, self._runbook)
        if section is None:
            raise Refused(404, "the run-book has no such alert")
        row = next((row for row in self._parts.overview.read().agents if row.name == agent), None)
        return self._page("runbook.html", alertname=alertname, agent=row, body=self._markdown.render(section))

    def ticket(self, alertname: str, agent: str | None) -> Response:
        """On to the newest ticket about the alert; a message is sent before its ticket has a key."""
        with reading(self._parts.engine).connect() as connection:
            row = incidents.about(connection, alertname, agent)
        jira = self._parts.settings.tickets.jira
        if jira and row and row.ticket_key:
            return RedirectResponse(jira.browse(row.ticket_key), status_code=302)
        opening = jira is not None and row is not None
        return self._page(
            "ticket.html", status=200 if opening else 404, alertname=alertname, agent=agent, opening=opening
        )

    def switch(self, agent: str, *, error: str | None = None, status: int = 200) -> Response:
        """The state of an agent's switch, and the form that changes it."""
        configured = self._parts.settings.agent(agent)
        if configured is None and not self._parts.overview.knows(agent):
            raise Refused(404, "there is no such agent")
        switch = configured.kill_switch if configured else None
        return self._page(
            "switch.html",
            status=status,
            agent=agent,
            switch=switch.kind if switch else None,
            enabled=flags.get(self._parts.engine, agent).enabled,
            operations=kills.of_agent(self._parts.engine, agent, limit=10),
            error=error,
        )

    def act(self, agent: str, form: dict[str, str]) -> Response:
        """Switch the agent, if the form carries the operator token, a name and a reason.

        The token is typed each time and nothing is remembered in a cookie, so no other site can send this form.
        """
        action: kills.Action = "enable" if form.get("action") == "enable" else "disable"
        try:
            self._parts.access.operator_token(form.get("token", "").strip())
            switch_agent(self._parts, agent, action, reason=form.get("reason", ""), by=form.get("by", ""))
        except Refused as error:
            return self.switch(agent, error=f"Nothing was changed: {error}.", status=error.status)
        return RedirectResponse(f"/agents/{quote(agent)}/switch", status_code=303)

    def problem(self, status: int, text: str) -> Response:
        """What went wrong, as a page."""
        return self._page("problem.html", status=status, text=text)

    def _page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        team = self._parts.settings.team
        html = self._templates.get_template(template).render(team=team, **values)
        return HTMLResponse(html, status_code=status)


def routes(app: FastAPI, pages: Pages) -> None:
    """Mount the pages for people, which are not part of the interface for programs."""
    router = APIRouter(include_in_schema=False)
    _reading(router, pages)
    _switching(router, pages)
    app.include_router(router)


def _reading(router: APIRouter, pages: Pages) -> None:
    @router.get("/")
    def overview(agent: str | None = None) -> Response:
        return pages.overview(agent or None)

    @router.get("/style.css")
    def style() -> Response:
        css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
        return Response(css, media_type="text/css", headers={"cache-control": "max-age=300"})

    @router.get("/runbook/{alertname}")
    def runbook(alertname: str, agent: str | None = None) -> Response:
        return pages.runbook(alertname, agent)

    @router.get("/ticket/{alertname}")
    def ticket(alertname: str, agent: str | None = None) -> Response:
        return pages.ticket(alertname, agent or None)


def _switching(router: APIRouter, pages: Pages) -> None:
    @router.get("/agents/{agent}/switch")
    def switch(agent: str) -> Response:
        return pages.switch(agent)

    @router.post("/agents/{agent}/switch")
    async def act(agent: str, request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Refused(403, "the form was sent by another site")
        body = await read_body(request, MAX_BYTES)
        try:
            fields = parse_qs(body.decode("utf-8"), max_num_fields=10)
        except ValueError as error:
            raise Refused(400, "the form cannot be read") from error
        form = {name: values[0] for name, values in fields.items()}
        return await run_in_threadpool(pages.act, agent, form)

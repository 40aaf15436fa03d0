"""The page for the person on call: all agents, or one with its chart, and the switch. A GET changes nothing."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from alerting.receiver import kills
from alerting.receiver.api.access import Refused
from alerting.receiver.api.parts import Parts
from alerting.receiver.api.switching import switch_agent
from alerting.receiver.console.forms import Form, read_form
from alerting.receiver.console.page import Page
from alerting.receiver.console.sessions import Session
from alerting.receiver.console.signing_in import SigningIn


class Console:
    """Shows it, and switches for who is signed in."""

    def __init__(self, parts: Parts, page: Page) -> None:
        self._parts = parts
        self._page = page

    def all(self, visitor: Session) -> Response:
        """Every agent."""
        return self._page.render("console.html", board=self._parts.boards.all(), visitor=visitor)

    def one(
        self, agent: str, visitor: Session, *, error: str | None = None, form: Form | None = None, status: int = 200
    ) -> Response:
        """One agent; with what was wrong with a form and what stood in it."""
        board = self._parts.boards.of(agent)
        if board is None:
            raise Refused(404, "there is no such agent")
        configured = self._parts.settings.agent(agent)
        return self._page.render(
            "agent.html",
            status=status,
            board=board,
            sla=self._parts.settings.sla_of(agent),
            configured=configured is not None,
            error=error,
            form=form or {},
            visitor=visitor,
        )

    def switch(self, agent: str, form: Form, visitor: Session) -> Response:
        """Switch the agent off or on, as the person whom the form names and with the reason that it gives."""
        action: kills.Action = "enable" if form.get("action") == "enable" else "disable"
        # Who is signed in may switch off. That it is safe to go on is somebody's word, whose name is asked for.
        by = form.get("by", "") if action == "enable" else visitor.by
        try:
            switch_agent(self._parts, agent, action, reason=form.get("reason", ""), by=by, signed_in=visitor.by)
        except Refused as error:
            return self.one(agent, visitor, error=f"Nothing was changed: {error}.", form=form, status=error.status)
        return RedirectResponse(f"/agents/{quote(agent, safe='')}/switch", status_code=303)


def routes(app: FastAPI, parts: Parts, console: Console, signing_in: SigningIn) -> None:
    """Mount the page and the switch; who is not signed in is led to signing in first."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def all_or_one(request: Request, agent: str = "") -> Response:
        visitor = signing_in.visitor(request)
        if visitor is None:
            return signing_in.first(request)
        return console.one(agent, visitor) if agent else console.all(visitor)

    @router.get("/agents/{agent:path}/switch")
    def one(request: Request, agent: str) -> Response:
        visitor = signing_in.visitor(request)
        return console.one(agent, visitor) if visitor else signing_in.first(request)

    @router.post("/agents/{agent:path}/switch")
    async def switch(agent: str, request: Request) -> Response:
        form = await read_form(request, parts.settings.receiver.public_url)
        return await run_in_threadpool(switched, agent, form, request)

    def switched(agent: str, form: Form, request: Request) -> Response:
        visitor = signing_in.sent(form, request)
        if visitor is None:
            said = "Nothing was changed: you are not signed in any more. Sign in and do it again."
            return signing_in.ask(request.url.path, error=said, status=401)
        return console.switch(agent, form, visitor)

    app.include_router(router)

"""Who gives the operator token and a name is signed in; all else that a page changes needs that, and a form of its own.

The cookie is out of reach of scripts and of other sites, and only sent over TLS where the page came over TLS.
"""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from alerting.receiver.api.access import Refused
from alerting.receiver.api.origin import is_over_tls
from alerting.receiver.api.parts import Parts
from alerting.receiver.api.switching import MAX_NAME
from alerting.receiver.console.forms import Form, read_form
from alerting.receiver.console.page import Page
from alerting.receiver.console.sessions import LASTS_S, Session
from handrail.redact import clean

COOKIE = "handrail_session"


class SigningIn:
    """Knows who asks."""

    def __init__(self, parts: Parts, page: Page) -> None:
        self._parts = parts
        self._page = page

    def visitor(self, request: Request) -> Session | None:
        """Who is signed in, if anybody is."""
        return self._parts.sessions.find(request.cookies.get(COOKIE, ""))

    def first(self, request: Request) -> Response:
        """On to signing in, and then back to what was asked for."""
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(wanted)}", status_code=303)

    def ask(self, then: str, *, error: str | None = None, status: int = 200, by: str = "") -> Response:
        """The form."""
        return self._page.render("login.html", status=status, then=_within(then), error=error, by=by, visitor=None)

    def take(self, form: Form, request: Request) -> Response:
        """Sign in, and go to where the person wanted to."""
        by = clean(form.get("by", "")).strip()[:MAX_NAME]
        address = request.client.host if request.client else ""
        try:
            if not by:
                raise Refused(400, "say who you are: it goes into the audit log")
            token = self._parts.access.signing_in(form.get("token", "").strip(), address)
        except Refused as error:
            found = self.ask(form.get("next", "/"), error=f"{error}.", status=error.status, by=by)
            found.headers.update(error.headers)
            return found
        session = self._parts.sessions.begin(token, by)
        answer = RedirectResponse(_within(form.get("next", "/")), status_code=303)
        answer.set_cookie(
            COOKIE,
            session.cookie,
            max_age=LASTS_S,
            httponly=True,
            samesite="strict",
            secure=is_over_tls(request),
        )
        return answer

    def sent(self, form: Form, request: Request) -> Session | None:
        """Who sent the form; None when nobody is signed in, Refused when it is not from a page of that session."""
        visitor = self.visitor(request)
        if visitor is not None and not visitor.sent(form.get("csrf", "")):
            raise Refused(403, "the form is not from a page of this session; load the page again")
        return visitor

    def leave(self, form: Form, request: Request) -> Response:
        """Sign out."""
        visitor = self.sent(form, request)
        if visitor is not None:
            self._parts.sessions.end(visitor)
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=is_over_tls(request))
        return answer


def routes(app: FastAPI, parts: Parts, signing_in: SigningIn) -> None:
    """Mount signing in and out."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    def ask(next: str = "/") -> Response:
        return signing_in.ask(next)

    @router.post("/login")
    async def take(request: Request) -> Response:
        form = await read_form(request, parts.settings.receiver.public_url)
        return await run_in_threadpool(signing_in.take, form, request)

    @router.post("/logout")
    async def leave(request: Request) -> Response:
        form = await read_form(request, parts.settings.receiver.public_url)
        return await run_in_threadpool(signing_in.leave, form, request)

    app.include_router(router)


def _within(path: str) -> str:
    """A path of ours; anything that could lead elsewhere becomes the first page."""
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and path.isascii()
    return path if ours else "/"

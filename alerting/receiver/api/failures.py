"""Whatever goes wrong is answered in words, as JSON to programs and as a page to people, and never with a secret."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from alerting.receiver.api.access import Refused
from alerting.receiver.api.parts import Parts
from handrail.secret import SecretError

ErrorPage = Callable[[int, str], Response]
_FOR_PROGRAMS = ("/v1/", "/-/", "/metrics", "/openapi.json")
_TEXTS = {404: "there is nothing at this path", 405: "this path does not take this method"}


def handlers(app: FastAPI, parts: Parts, page: ErrorPage) -> None:
    """Answer what was refused, what is not there, and what nobody foresaw."""

    def answer(request: Request, status: int, text: str, headers: dict[str, str] | None = None) -> Response:
        wants_page = "text/html" in request.headers.get("accept", "")
        if wants_page and not request.url.path.startswith(_FOR_PROGRAMS):
            found = page(status, text)
            found.headers.update(headers or {})
            return found
        return JSONResponse({"error": text}, status_code=status, headers=headers)

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return answer(request, error.status, str(error), error.headers)

    @app.exception_handler(HTTPException)
    async def not_there(request: Request, error: HTTPException) -> Response:
        text = _TEXTS.get(error.status_code, str(error.detail))
        return answer(request, error.status_code, text, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, _: RequestValidationError) -> Response:
        return answer(request, 400, "the request cannot be read")

    @app.exception_handler(SecretError)
    async def no_secret(request: Request, error: SecretError) -> Response:
        parts.log_once.failed("secret", str(error))
        return answer(request, 503, "a secret cannot be read; see the receiver's log")

    @app.exception_handler(SQLAlchemyError)
    async def no_database(request: Request, error: SQLAlchemyError) -> Response:
        parts.log_once.failed("database", type(error).__name__)
        return answer(request, 503, "the database does not answer; try again")

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        route = request.scope.get("route")
        parts.logger.error("answer_failed", path=getattr(route, "path", "?"), exc_info=error)
        return answer(request, 500, "a defect of the receiver; see its log")

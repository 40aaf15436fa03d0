"""What the simulated Cloudflare tells about the token that asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from drill.simulators.wire import Request, Response, Router, json_response

TOKEN_ID = "f" * 32


@dataclass
class Token:
    """The token of the simulated account. Its details are told only to one that `may_read_tokens`."""

    owner: Literal["account", "user"] = "account"
    status: Literal["active", "disabled", "expired"] = "active"
    expires_on: str | None = None
    not_before: str | None = None
    issued_on: str = "2026-10-01T08:00:00Z"
    may_read_tokens: bool = False

    def dates(self) -> dict[str, Any]:
        """Only those that are set, as the original does."""
        return {key: at for key in ("expires_on", "not_before") if (at := getattr(self, key))}


def add_routes(router: Router, token: Token, check: Callable[[str], None]) -> None:
    """Each kind of token is known at its own address only; the other one calls it invalid."""

    def answer(owner: str, result: dict[str, Any], *, may: bool = True) -> Response:
        if token.owner != owner:
            return json_response(_failure(1000, "Invalid API Token"), 401)
        if not may:
            return json_response(_failure(9109, "Unauthorized to access requested resource"), 403)
        # A success that carries the code of the authentication error, as the original does.
        note = {"code": 10000, "message": "This API Token is valid and active", "type": None}
        return json_response({"success": True, "errors": [], "messages": [note], "result": result})

    def verify(_: Request, account: str = "") -> Response:
        if account:
            check(account)
        status = {"id": TOKEN_ID, "status": token.status}
        return answer("account" if account else "user", status | token.dates())

    def details(_: Request, token_id: str, account: str = "") -> Response:
        if account:
            check(account)
        result = {"id": token_id, "name": "handrail", "status": token.status, "issued_on": token.issued_on}
        return answer("account" if account else "user", result | token.dates(), may=token.may_read_tokens)

    for owner in ("/client/v4/accounts/{account}", "/client/v4/user"):
        router.add("GET", f"{owner}/tokens/verify", verify)
        router.add("GET", f"{owner}/tokens/{{token_id}}", details)


def _failure(code: int, text: str) -> dict[str, Any]:
    return {"success": False, "errors": [{"code": code, "message": text}], "messages": [], "result": None}

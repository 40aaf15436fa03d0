"""Whether a form was sent by one of our own pages: browsers say so, and no page can make them say something else."""

from __future__ import annotations

from fastapi import Request


def is_own(request: Request, public_url: str) -> bool:
    """Does the browser say that the form comes from the address it goes to? What says nothing is not believed."""
    origin = request.headers.get("origin", "").lower()
    if not origin:
        return request.headers.get("sec-fetch-site") == "same-origin"
    host = request.headers.get("host", "").lower()
    own = {public_url.lower(), f"http://{host}", f"https://{host}"}
    return origin in own


def is_over_tls(request: Request) -> bool:
    """Did the browser reach us over TLS, perhaps through a proxy that ended it?"""
    return request.url.scheme == "https" or request.headers.get("origin", "").lower().startswith("https://")

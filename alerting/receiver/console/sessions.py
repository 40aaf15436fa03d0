"""A person who gave the operator token is known by a random cookie for 12 hours, and no longer than that token holds.

The database has neither the cookie nor the token, only what the two make together: who reads it can sign in as nobody,
and a token that is taken out of its file ends every session that began with it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Engine, delete, insert, select

from alerting.receiver import audit
from alerting.receiver.schema import sessions
from handrail.clock import Clock
from handrail.database import reading

LASTS_S = 12 * 3600


@dataclass(frozen=True, slots=True)
class Session:
    """`cookie` is the secret that the browser keeps; `by` is who signed in."""

    cookie: str
    by: str

    @property
    def csrf(self) -> str:
        """What every form of this session carries, so that no other page can send one."""
        return _keyed(self.cookie, "form")

    def sent(self, csrf: str) -> bool:
        """Does a form that carries `csrf` come from a page of this session?"""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode("utf-8", "replace"))


class Sessions:
    """Begins, finds and ends sessions; several receivers on one database share them. `tokens` says which hold now."""

    def __init__(self, engine: Engine, clock: Clock, tokens: Callable[[], Iterable[str]]) -> None:
        self._engine = engine
        self._clock = clock
        self._tokens = tokens

    def begin(self, token: str, by: str) -> Session:
        """A new session for somebody who gave this token; those that are over are forgotten meanwhile."""
        session, now = Session(secrets.token_urlsafe(32), by), self._clock.now().timestamp()
        with self._engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.ends_at <= now))
            row = {"id": _keyed(token, session.cookie), "by": by, "ends_at": now + LASTS_S}
            connection.execute(insert(sessions).values(**row))
            audit.append(connection, now, actor=by, action="signed in", subject="console")
        return session

    def find(self, cookie: str) -> Session | None:
        """The session of this cookie; None when there is none, it is over, or its token holds no more."""
        if not cookie:
            return None
        ids = [_keyed(token, cookie) for token in self._tokens()]
        now = self._clock.now().timestamp()
        query = select(sessions.c.by).where(sessions.c.id.in_(ids), sessions.c.ends_at > now)
        with reading(self._engine).connect() as connection:
            by = connection.scalar(query)
        return None if by is None else Session(cookie, by)

    def end(self, session: Session) -> None:
        """Nobody is known by this cookie any more."""
        ids = [_keyed(token, session.cookie) for token in self._tokens()]
        with self._engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.id.in_(ids)))
            now = self._clock.now().timestamp()
            audit.append(connection, now, actor=session.by, action="signed out", subject="console")


def _keyed(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

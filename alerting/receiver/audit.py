"""Every decision and side effect is a row that cannot be changed, chained by hash, in the transaction it belongs to.

The database itself refuses to change or delete a row (`schema.py`), so that a slip of our own code fails.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, Text, cast, insert, or_, select

from alerting.receiver.audit_chain import GENESIS, Anchor, Entry, canonical, chained, check
from alerting.receiver.schema import audit, incidents
from handrail.database import reading, take_turns
from handrail.redact import clean, redact

MAX_DETAIL = 2000


def append(connection: Connection, at: float, *, actor: str, action: str, subject: str, **detail: object) -> None:
    """Add one row; texts of its detail are redacted and cut. Writers take turns.

    The number is the last one and one more: a sequence of PostgreSQL would leave gaps behind transactions that failed.
    """
    take_turns(connection, "audit")
    last = connection.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)).first()
    number, previous = (last.id + 1, last.hash) if last else (1, GENESIS)
    safe = {name: _safe(value) for name, value in detail.items()}
    row = {"at": at, "actor": clean(actor), "action": action, "subject": subject, "detail": canonical(safe)}
    connection.execute(insert(audit).values(id=number, **row, previous_hash=previous, hash=chained(previous, row)))


def _safe(value: object) -> object:
    return redact(value[:MAX_DETAIL]) if isinstance(value, str) else value


def entries(connection: Connection) -> Iterator[Entry]:
    """Every row, from the first on."""
    query = select(audit).order_by(audit.c.id)
    for row in connection.execute(query, execution_options={"yield_per": 1000}):
        yield Entry(**row._mapping)


def head(engine: Engine) -> Anchor | None:
    """The last row; None while there is none."""
    with reading(engine).connect() as connection:
        row = connection.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)).first()
    return Anchor(row.id, row.hash) if row else None


def recent(engine: Engine, *, since: float | None, agent: str | None, limit: int) -> list[Entry]:
    """The last rows, the newest last; those about an agent name it or one of its incidents."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if since is not None:
        query = query.where(audit.c.at >= since)
    if agent is not None:
        its_incidents = select("incident/" + cast(incidents.c.id, Text)).where(incidents.c.agent == agent)
        query = query.where(or_(audit.c.subject == f"agent/{agent}", audit.c.subject.in_(its_incidents)))
    with reading(engine).connect() as connection:
        return [Entry(**row._mapping) for row in connection.execute(query)][::-1]


def first_broken(connection: Connection) -> int | None:
    """The number of the first row that is not as it was written; None when the log is whole."""
    found = check(entries(connection)).findings
    return found[0].id if found else None

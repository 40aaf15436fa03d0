"""Every decision and side effect is an append-only row, chained by hash, in the transaction of what it describes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from sqlalchemy import Connection, Row, insert, select, text

from alerting.receiver.schema import audit

GENESIS = "0" * 64
_LOCK = 7_268_001  # any number; it must only be the same in every replica


def append(connection: Connection, at: float, *, actor: str, action: str, subject: str, **detail: object) -> None:
    """Add one row. On PostgreSQL writers take turns; SQLite's write lock does that by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    previous = connection.scalar(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)) or GENESIS
    row = {"at": at, "actor": actor, "action": action, "subject": subject, "detail": _canonical(detail)}
    connection.execute(insert(audit).values(**row, previous_hash=previous, hash=_chained(previous, row)))


def first_broken(connection: Connection) -> int | None:
    """The id of the first row that does not follow from the one before it; None when the chain is whole."""
    previous = GENESIS
    for row in connection.execute(select(audit).order_by(audit.c.id)):
        if row.previous_hash != previous or row.hash != _chained(previous, _content(row)):
            return int(row.id)
        previous = row.hash
    return None


def _content(row: Row[tuple[object, ...]]) -> dict[str, object]:
    return {name: row._mapping[name] for name in ("at", "actor", "action", "subject", "detail")}


def _chained(previous: str, row: Mapping[str, object]) -> str:
    return hashlib.sha256(f"{previous}\n{_canonical(row)}".encode()).hexdigest()


def _canonical(value: Mapping[str, object]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)

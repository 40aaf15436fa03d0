"""Why a database cannot be used, as a closed set of reasons, and what a person does about each."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Literal, get_args

from sqlalchemy.exc import SQLAlchemyError

Reason = Literal["corrupt", "read_only", "full", "io", "locked", "unreachable", "other"]
REASONS: tuple[Reason, ...] = get_args(Reason)

# Primary result codes of SQLite (sqlite.org/rescode.html).
_SQLITE: Mapping[int, Reason] = {
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_PERM: "read_only",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_IOERR: "io",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_CANTOPEN: "unreachable",
}
# SQLSTATE, or its first two characters (PostgreSQL manual, appendix A).
_POSTGRESQL: Mapping[str, Reason] = {
    "XX001": "corrupt",
    "XX002": "corrupt",
    "25006": "read_only",
    "53100": "full",
    "58": "io",
    "55P03": "locked",
    "40P01": "locked",
    "08": "unreachable",
    "28": "unreachable",
    "3D": "unreachable",
    "57P": "unreachable",
    "53300": "unreachable",
}
WHAT_TO_DO: Mapping[Reason, str] = {
    "corrupt": "the database is damaged. Stop the program, move the file and its -wal and -shm away, and start again "
    "with a copy from before, or with none: counting then begins anew",
    "read_only": "the database cannot be written. Let the program's account write the file and its folder",
    "full": "there is no space left for the database. Free some; nothing is lost, it is read again",
    "io": "the disk does not do what it is asked. Look into the system's log, and at limits of file size (ulimit -f)",
    "locked": "another program holds the database for seconds. End what else has it open",
    "unreachable": "the database cannot be opened. Is its address right, does it run, and may the account use it?",
    "other": "the database does not take what it is asked",
}


def reason_of(error: SQLAlchemyError) -> Reason:
    """The reason behind an error of the driver."""
    cause = getattr(error, "orig", None)
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _SQLITE.get(code & 0xFF, "other")
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        return next((_POSTGRESQL[key] for key in (state, state[:3], state[:2]) if key in _POSTGRESQL), "other")
    # psycopg gives a connection that could not be made or was lost no state.
    return "unreachable" if type(cause).__name__ == "OperationalError" else "other"


def said(error: SQLAlchemyError) -> str:
    """What the driver said, in one line; never the statement, its parameters or the address with its password."""
    cause = getattr(error, "orig", None)
    lines = str(cause).strip().splitlines() if cause is not None else []
    return lines[0] if lines else type(error).__name__

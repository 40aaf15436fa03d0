"""Opens the ledger, holds it alone, brings it up to date and reads it once; or says in one line why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from exporter.ledger import Ledger
from exporter.sole import sole_use
from handrail.clock import Clock
from handrail.database import DatabaseTooNew, create_engine
from handrail.database_trouble import WHAT_TO_DO, reason_of, said
from handrail.settings import Settings


class LedgerUnusable(Exception):
    """The ledger cannot be used; the text says why and what to do."""


@contextmanager
def opened(settings: Settings, clock: Clock) -> Iterator[Ledger]:
    """The settings' ledger, which nobody else uses meanwhile. LedgerUnusable or LedgerTaken when it cannot be had."""
    with ExitStack() as stack:
        yield _open(settings, clock, stack)


def _open(settings: Settings, clock: Clock, stack: ExitStack) -> Ledger:
    url = settings.exporter.database_url
    place = _place(url)
    try:
        engine = create_engine(url)
        stack.callback(engine.dispose)
        stack.enter_context(sole_use(engine))
        ledger = Ledger(engine, settings, clock)
        ledger.snapshot()
    except DatabaseTooNew as error:
        raise LedgerUnusable(f"{place}: {error}; run the newer Handrail, or give this one another file") from error
    except ModuleNotFoundError as error:
        raise LedgerUnusable(f"{place} needs the package {error.name}: pip install '{error.name}[binary]'") from error
    except SQLAlchemyError as error:
        raise LedgerUnusable(f"{place}: {said(error)}; {WHAT_TO_DO[reason_of(error)]}") from error
    except OSError as error:
        what = WHAT_TO_DO["read_only"]
        raise LedgerUnusable(f"{place}: {error.strerror}: {error.filename}; {what}") from error
    return ledger


def _place(url: str) -> str:
    """Where the ledger is, without a password."""
    try:
        return f"the ledger {make_url(url).render_as_string(hide_password=True)}"
    except ArgumentError:
        return "exporter.database_url"

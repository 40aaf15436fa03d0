"""The receiver's database as commands use it, and what stands in it as a terminal may show it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
from rich.text import Text
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from cli.configuration import load_or_exit
from handrail.database import DatabaseMissing
from handrail.database_trouble import WHAT_TO_DO, reason_of, said
from handrail.redact import clean

T = TypeVar("T")


def with_database(config: Path, connect: Callable[[str], Engine], use: Callable[[Engine], T], *, what: str) -> T:
    """What `use` makes of the database; ends the command with what to do if it cannot be used. `what` is sought."""
    settings = load_or_exit(config)
    try:
        engine = connect(settings.receiver.database_url)
        try:
            return use(engine)
        finally:
            engine.dispose()
    except DatabaseMissing as error:
        raise click.ClickException(f"there is no {error}: the receiver has not run here yet") from error
    except SQLAlchemyError as error:
        what_to_do = WHAT_TO_DO[reason_of(error)]
        raise click.ClickException(f"{what} cannot be used ({said(error)}): {what_to_do}") from error


def plain(text: str) -> Text:
    """What a person typed or a service answered must not move a terminal's cursor, nor be read as markup."""
    return Text(clean(text).replace("\n", " "))

"""What the ledger has counted already, which is no history; read beside the running exporter and never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import func, select

from exporter.calls_view import NoLedger, reading_ledger
from exporter.history.spool import Spool
from exporter.sources import State
from exporter.tables import calls_table, label_values_table, sources_table
from handrail.settings import Settings


@dataclass(frozen=True, slots=True)
class Counted:
    """`began`: when each agent's first call was counted; `states`: each source's cursor; names in use as labels."""

    began: Mapping[str, datetime] = field(default_factory=dict)
    states: Mapping[str, State] = field(default_factory=dict)
    labels: tuple[tuple[str, str, str], ...] = ()
    exists: bool = False


def counted(settings: Settings) -> Counted:
    """What the ledger holds; nothing when there is none yet. NoCalls when it is another release's."""
    first = select(calls_table.c.agent, func.min(calls_table.c.ingested_at)).group_by(calls_table.c.agent)
    labels = label_values_table.c
    try:
        with reading_ledger(settings) as connection:
            return Counted(
                began={agent: datetime.fromtimestamp(stamp, UTC) for agent, stamp in connection.execute(first)},
                states={row.source: json.loads(row.state) for row in connection.execute(select(sources_table))},
                labels=tuple(
                    (row.agent, row.label, row.value)
                    for row in connection.execute(select(labels.agent, labels.label, labels.value))
                ),
                exists=True,
            )
    except NoLedger:
        return Counted()


def remove_counted(spool: Spool, settings: Settings) -> int:
    """Take out of the spool what the ledger has; how many calls that were."""
    known: list[tuple[str, str]] = []
    try:
        with reading_ledger(settings) as connection:
            for keys in spool.pieces():
                for source in {source for source, _ in keys}:
                    ids = [identity for of, identity in keys if of == source]
                    wanted = (calls_table.c.source == source, calls_table.c.id.in_(ids))
                    found = connection.scalars(select(calls_table.c.id).where(*wanted))
                    known += [(source, identity) for identity in found]
    except NoLedger:
        return 0
    spool.remove(known)
    return len(known)

"""How much the heaviest execution of each agent did, among those with a call that ended a short while ago.

An execution's calls may end far apart: one that ended just now brings all that came before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BindParameter, Connection, Select, and_, bindparam, func, select, union_all

from exporter.tables import calls_table


@dataclass(frozen=True, slots=True)
class Heaviest:
    """The most of each in one execution; each may be another execution's."""

    model_calls: int = 0
    tool_calls: int = 0
    tokens: int = 0


def _statement() -> Select[tuple[str, int, int, int]]:
    calls = calls_table.c
    since: BindParameter[float] = bindparam("since")
    amounts = {
        "model_calls": calls.model_calls,
        "tool_calls": calls.tool_calls,
        "tokens": func.coalesce(calls.tokens_in, 0) + func.coalesce(calls.tokens_out, 0),
    }
    alone = select(calls.agent, *(amount.label(name) for name, amount in amounts.items())).where(
        calls.finished_at >= since, calls.execution == ""
    )
    key = (calls.source, calls.execution, calls.agent)
    recent = select(*key).where(calls.finished_at >= since, calls.execution != "").distinct().subquery()
    together = (
        select(calls.agent, *(func.sum(amount).label(name) for name, amount in amounts.items()))
        .join(recent, and_(*(column == recent.c[column.name] for column in key)))
        .group_by(*key)
    )
    each = union_all(alone, together).subquery()
    return select(each.c.agent, *(func.max(each.c[name]).label(name) for name in amounts)).group_by(each.c.agent)


# Made once: to put it together takes longer than to run it.
_HEAVIEST = _statement()


def heaviest(connection: Connection, since: float) -> dict[str, Heaviest]:
    """By agent, over executions with a call that ended at `since` or later; a call of no execution is its own."""
    return {
        row.agent: Heaviest(int(row.model_calls), int(row.tool_calls), int(row.tokens))
        for row in connection.execute(_HEAVIEST, {"since": since})
    }

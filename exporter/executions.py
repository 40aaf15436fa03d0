"""How much the heaviest execution of each agent did, among those with a call that ended a short while ago.

An execution's calls may end far apart: one that ended just now brings all that came before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, union_all

from exporter.tables import calls_table


@dataclass(frozen=True, slots=True)
class Heaviest:
    """The most of each in one execution; each may be another execution's."""

    model_calls: int = 0
    tool_calls: int = 0
    tokens: int = 0


def heaviest(connection: Connection, since: float) -> dict[str, Heaviest]:
    """By agent, over executions with a call that ended at `since` or later; a call of no execution is its own."""
    calls = calls_table.c
    amounts = {
        "model_calls": calls.model_calls,
        "tool_calls": calls.tool_calls,
        "tokens": func.coalesce(calls.tokens_in, 0) + func.coalesce(calls.tokens_out, 0),
    }
    alone = select(calls.agent, *(amount.label(name) for name, amount in amounts.items())).where(
        calls.finished_at >= since, calls.execution == ""
    )
    recent = (
        select(calls.source, calls.execution, calls.agent)
        .where(calls.finished_at >= since, calls.execution != "")
        .distinct()
        .subquery()
    )
    together = (
        select(calls.agent, *(func.sum(amount).label(name) for name, amount in amounts.items()))
        .join(
            recent,
            (calls.source == recent.c.source)
            & (calls.execution == recent.c.execution)
            & (calls.agent == recent.c.agent),
        )
        .group_by(calls.source, calls.execution, calls.agent)
    )
    each = union_all(alone, together).subquery()
    statement = select(each.c.agent, *(func.max(each.c[name]).label(name) for name in amounts)).group_by(each.c.agent)
    return {
        row.agent: Heaviest(int(row.model_calls), int(row.tool_calls), int(row.tokens))
        for row in connection.execute(statement)
    }

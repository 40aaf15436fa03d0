"""`GET /v1/calls`: an agent's last calls for other programs, without a prompt, an answer or the text of an error."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from exporter.calls_view import CallRow, CallsView, NoCalls, Wanted
from handrail.settings import Settings

MOST = 50
SHOW = ("all", "errors", "slow")


class CallsPage:
    """Answers from the ledger, by the settings as they are at that moment."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings

    def answer(self, query: Mapping[str, str]) -> tuple[int, str]:
        """The status and the JSON: `calls` with the oldest first, or `error`, 400 for the asker's and 503 for ours.

        `agent` is required; `show` is all, errors or slow; `limit` is at most MOST.
        """
        agent, show, limit = query.get("agent"), query.get("show", "all"), query.get("limit", "10")
        if not agent or show not in SHOW or not limit.isdecimal() or not 1 <= int(limit) <= MOST:
            text = f"give agent=NAME, and if you want show={'|'.join(SHOW)} and limit=1..{MOST}"
            return 400, json.dumps({"error": text})
        wanted = Wanted(agent=agent, errors=show == "errors", slow=show == "slow")
        try:
            rows = CallsView(self._settings()).recent(wanted, limit=int(limit))
        except NoCalls as error:
            return 503, json.dumps({"error": str(error)})
        return 200, json.dumps({"calls": [_shown(row) for row in rows]})


def _shown(row: CallRow) -> dict[str, Any]:
    return {
        "source": row.source,
        "id": row.id,
        "agent": row.agent,
        "started_at": row.started_at.isoformat(),
        "finished_at": row.finished_at.isoformat(),
        "duration_s": row.duration.total_seconds(),
        "slow": row.slow,
        "outcome": row.outcome,
        "error_reason": row.error_reason,
        "model": row.model,
        "provider": row.provider,
        "tokens_in": row.tokens_in,
        "tokens_out": row.tokens_out,
        "execution": row.execution,
        "url": row.url,
    }

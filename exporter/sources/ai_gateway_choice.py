"""Which of the two logs of a gateway is read. An empty answer of one is never "no traffic" before the other was asked.

Rows decide; a log that refuses is not taken to be the wrong one until the other one shows some. The choice is kept with
the cursor; as long as the chosen log is silent the other one is asked again, once an hour, and then for all of the
silence. While neither has ever shown a row every poll asks both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, get_args

from exporter.sources import DownReason
from exporter.sources.ai_gateway_logs import Found, RequestLog

LogName = Literal["legacy", "observability"]
Choice = LogName | Literal["unknown"]
CHOICES: tuple[Choice, ...] = (*get_args(LogName), "unknown")

ASK_OTHER_EVERY = timedelta(hours=1)
# How a log that an account does not have, or a token may not read, may refuse; other failures say nothing about that.
_REFUSALS: frozenset[DownReason] = frozenset({"forbidden", "bad_request", "not_found", "not_success"})
_OTHER: Mapping[LogName, LogName] = {"legacy": "observability", "observability": "legacy"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The choice so far: when the other log was last asked, and since when the chosen one has been silent."""

    log: Choice = "unknown"
    asked_at: datetime | None = None
    silent_since: datetime | None = None


def choose(
    logs: Mapping[LogName, RequestLog], chosen: Chosen, *, gateway: str, since: datetime, until: datetime
) -> tuple[Found, Chosen]:
    """What a gateway's log says of that time, and the choice from now on. The answer may begin earlier than `since`."""
    first: LogName = "legacy" if chosen.log == "unknown" else chosen.log
    found = logs[first].read(gateway, since, until)
    if not found.is_empty:
        return found, Chosen(first, chosen.asked_at)
    if found.trouble and found.trouble.reason not in _REFUSALS:
        return found, chosen
    silent_since = min(chosen.silent_since or since, since)
    asked_lately = chosen.asked_at is not None and until - chosen.asked_at < ASK_OTHER_EVERY
    if chosen.log != "unknown" and asked_lately:
        return found, replace(chosen, silent_since=silent_since)
    other = logs[_OTHER[first]].read(gateway, silent_since, until)
    if not other.is_empty:
        return other, Chosen(_OTHER[first], until)
    if other.trouble:
        # What could not be asked is still to be asked about all of the silence; the first log's word stands.
        return found, Chosen(chosen.log, until, silent_since)
    return found, Chosen(chosen.log, until, None)

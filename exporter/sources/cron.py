"""When a Cloudflare cron trigger should have run. Pure; cronsim does the arithmetic, in UTC as Cloudflare does.

Cloudflare's expressions differ from a crontab's in two ways, which its open-source parser (saffron) shows: weekdays
are numbered from 1, which is Sunday, and unless one of them is a bare star, either day field may match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile

from cronsim import CronSim, CronSimError

_FIELDS = 5
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}


def expected(cron: str, since: datetime, until: datetime) -> tuple[datetime, ...] | None:
    """The times from `since` up to, and without, `until`; None for an expression that is not understood (nW, L-n)."""
    fields = cron.split()
    if len(fields) != _FIELDS:
        return None
    minute, hour, day, month, weekday = fields
    # cronsim takes a field that merely begins with a star for a star.
    day, weekday = re.sub(r"^\*/", "1-31/", day), re.sub(r"^\*/", "1-7/", weekday)
    try:
        times: Iterator[datetime] = CronSim(
            " ".join([minute, hour, day, month, _weekday(weekday)]), since - timedelta(seconds=1)
        )
        return tuple(takewhile(lambda time: time < until, times))
    except CronSimError:
        return None


def _weekday(field: str) -> str:
    """The field with numbers only, and Sunday as 0; numbers after # and / are none of days."""
    field = re.sub(r"[A-Za-z]{3}", lambda found: str(_DAYS.get(found.group().upper(), found.group())), field)
    return re.sub(r"(?<![\d#/])[1-7](?!\d)", lambda found: str(int(found.group()) - 1), field)

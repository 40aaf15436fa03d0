"""Where and when Alertmanager tells an alert in Slack, as the rendered routes have it. No I/O."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from handrail.notify_settings import Notify, OfficeHours, Slack, weekdays

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def place_of(notify: Notify, *, severity: str | None, agent: str | None, owner: str | None) -> Slack | None:
    """The channel in which such an alert is told and that may be read; None when there is none.

    The team's rather than the owner's where both are told.
    """
    owned = notify.owners.get(owner or "") if agent else None
    own = owned.slack if owned else None
    told = (own,) if own and severity != "critical" else (notify.slack, own)
    return next((slack for slack in told if slack and slack.channel_id), None)


def opens_at(hours: OfficeHours, now: datetime) -> datetime | None:
    """When office hours begin next; None while they last."""
    local = now.astimezone(ZoneInfo(hours.time_zone))
    days = weekdays(hours.days)
    for ahead in range(8):
        day = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=ahead)
        if _DAYS[day.weekday()] not in days:
            continue
        # Times of day, added on the wall and not in seconds: a day with a change of the clock is longer or shorter.
        start, end = day + _of_day(hours.start), day + _of_day(hours.end)
        if local < start:
            return start
        if local < end:
            return None
    return None


def _of_day(text: str) -> timedelta:
    hour, _, minute = text.partition(":")
    return timedelta(hours=int(hour), minutes=int(minute))

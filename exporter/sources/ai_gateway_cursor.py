"""How far a gateway was read, and what time is read next. Pure.

A row becomes readable some time after its `created_at`, so a window ends `hold_back` ago and begins some minutes before
the end of the last one. A window that could not be read in one go is read on from where it stopped before another one
is opened; pieces become shorter while a log does not give them, and longer again when it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from exporter.sources import DownReason
from exporter.sources.ai_gateway_choice import Chosen
from exporter.sources.ai_gateway_logs import Found
from exporter.sources.gateway_tally import Log
from exporter.sources.windows import whole_minute

OVERLAP = timedelta(minutes=5)
# After an outage the log is caught up with in pieces, so that no poll runs for ever.
LONGEST = timedelta(hours=1)
_LONGEST_PIECE = LONGEST + OVERLAP
SHORTEST = timedelta(minutes=2)
# Rows after the end of a piece are looked at too: a later attempt of the same request may be among them.
AHEAD = timedelta(minutes=1)
# With less to read these may go well.
_SHORTER_HELPS: frozenset[DownReason] = frozenset({"sampled", "budget", "endless_pages", "too_large", "timeout"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What was last learnt of the gateway's own settings, and when it was asked."""

    asked_at: datetime
    collects_logs: bool | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Requests that ended before `until` are to be counted; rows are read from `since` until before `look_to`."""

    since: datetime
    until: datetime
    look_to: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Of one gateway. Counting began at `began`; `goal` is the end of a window that is read up to `stopped` only.

    `is_unsure` says that `began` is by our own clock and Cloudflare's is not known yet. `tally` is of all rows
    that were read, whoever made the requests.
    """

    began: datetime
    reached: datetime
    stopped: datetime | None = None
    goal: datetime | None = None
    longest: timedelta = _LONGEST_PIECE
    chosen: Chosen = field(default_factory=Chosen)
    settings: Settings | None = None
    unreadable: frozenset[str] = frozenset()
    is_unsure: bool = False
    tally: Mapping[str, int] = field(default_factory=dict)

    @property
    def log(self) -> Log:
        """What was read of the log, for good."""
        return Log(whole_minute(self.reached - OVERLAP), self.tally)

    def next_window(self, now: datetime, hold_back: timedelta) -> Window | None:
        """The next one; None as long as nothing since the beginning can have become readable."""
        since = self.stopped or max(self.began, self.reached - OVERLAP)
        goal = self.goal or min(now - hold_back, self.reached + LONGEST)
        if goal <= since:
            return None
        until = min(goal, since + self.longest)
        return Window(since, until, max(until, min(now, until + AHEAD)))

    def after(self, window: Window, found: Found, now: datetime, hold_back: timedelta) -> Cursor:
        """The cursor once what was found is counted."""
        goal = self.goal or min(now - hold_back, self.reached + LONGEST)
        done = found.counted_to(window.until)
        longest = min(_LONGEST_PIECE, self.longest * 2)
        if done < window.until and found.trouble:
            shorter = max(SHORTEST, self.longest / 2)
            longest = shorter if found.trouble.reason in _SHORTER_HELPS else self.longest
            if done <= found.since:
                # Nothing of it: the same again, from where the answer would have begun.
                began_at = found.since if found.since < window.since else self.stopped
                return replace(self, longest=longest, stopped=began_at, goal=self.goal if began_at is None else goal)
        elif done >= goal:
            return replace(self, reached=max(goal, self.reached), stopped=None, goal=None, longest=longest)
        # A request whose attempts lie on both sides is read whole in the next piece.
        again = done - AHEAD
        return replace(self, stopped=again if again > window.since else done, goal=goal, longest=longest)


def load(raw: Mapping[str, Any]) -> Cursor:
    """As `dump` wrote it; also what earlier versions did."""
    chosen, settings = raw.get("chosen", {}), raw.get("settings")
    return Cursor(
        began=datetime.fromisoformat(raw["began"]),
        reached=datetime.fromisoformat(raw["reached"]),
        stopped=_time(raw.get("stopped")),
        goal=_time(raw.get("goal")),
        longest=timedelta(seconds=raw.get("longest_s", _LONGEST_PIECE.total_seconds())),
        chosen=Chosen(chosen.get("log", "unknown"), _time(chosen.get("asked")), _time(chosen.get("silent"))),
        settings=settings and Settings(datetime.fromisoformat(settings["asked"]), settings["collects_logs"]),
        unreadable=frozenset(raw.get("unreadable", ())),
        is_unsure=raw.get("unsure", False),
        tally=raw.get("tally", {}),
    )


def dump(cursor: Cursor) -> dict[str, Any]:
    """As JSON keeps it."""
    chosen, settings = cursor.chosen, cursor.settings
    return {
        "began": cursor.began.isoformat(),
        "reached": cursor.reached.isoformat(),
        "stopped": _text(cursor.stopped),
        "goal": _text(cursor.goal),
        "longest_s": cursor.longest.total_seconds(),
        "chosen": {"log": chosen.log, "asked": _text(chosen.asked_at), "silent": _text(chosen.silent_since)},
        "settings": settings and {"asked": _text(settings.asked_at), "collects_logs": settings.collects_logs},
        "unreadable": sorted(cursor.unreadable),
        "unsure": cursor.is_unsure,
        "tally": dict(cursor.tally),
    }


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time else None

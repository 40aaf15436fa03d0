"""Alertmanager's own message about an incident is found in its channel, and the incident's ticket links to it.

Nobody is told twice: the channel is read, never written to. No ticket waits for this, which has a lane of its own and
never becomes a dead letter; what was found is put beside the ticket as every other link, once whatever is repeated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal

from sqlalchemy import Connection, Engine, func, select

from alerting.receiver import outbox, tickets
from alerting.receiver.incidents import IncidentRow
from alerting.receiver.outbox import Item
from alerting.receiver.reports import Report
from alerting.receiver.schema import alerts, incidents
from alerting.receiver.slack.client import SlackClient, Trouble
from alerting.receiver.slack.messages import Mark, trusted_permalink
from alerting.receiver.slack.places import opens_at, place_of
from alerting.receiver.worker import Backoff, Lane, Later
from handrail.clock import Clock
from handrail.database import reading
from handrail.logs import Logger, LogOnce
from handrail.notify_settings import Slack
from handrail.settings import Settings

# Seconds after each look until the next. The message is there before the ticket, or when Slack was away a
# group_interval later, which is 5 minutes unless the team says otherwise; after an hour it is not waited for.
PAUSES_S = (15.0, 45.0, 270.0, 870.0, 2400.0)
# So long a look is put off because Slack limits the rate; a search has its looks however long the receiver was away.
PATIENCE_S = 2 * sum(PAUSES_S)
# A look reads on where the last one ended, and by so much before that: Slack's clock is another one.
CLOCKS_DIFFER_S = 60.0
# Of 200 messages, newest first. What is written in such a hurry is no channel for alerts.
MOST_PAGES = 25

Outcome = Literal["linked", "not_found", "failed", "refused"]


@dataclass(frozen=True, slots=True)
class _Look:
    """How far the search has come, kept in the item.

    `oldest` is where its reading ends and `begun` when it began, `ts` the earliest message found so far, and `read`:
    there is nothing more to read.
    """

    incident: int
    oldest: float
    number: int = 0
    begun: float | None = None
    pages: int = 0
    cursor: str | None = None
    ts: str | None = None
    read: bool = False

    def after(self, outcome: Outcome) -> _Look:
        """The look after this one: from where it began, if it saw everything since, and else from the start."""
        if self.read:
            return replace(self, number=self.number + 1)
        seen_until = self.begun - CLOCKS_DIFFER_S if outcome == "not_found" and self.begun else self.oldest
        return _Look(self.incident, max(self.oldest, seen_until), number=self.number + 1)


class MessageSearch:
    """Asked for with a ticket, done by its lane. `count` is told how each search ended."""

    def __init__(
        self, settings: Settings, engine: Engine, clock: Clock, *, count: Callable[[Outcome], None], logger: Logger
    ) -> None:
        self._settings = settings
        self._notify = settings.notify
        self._engine = engine
        self._clock = clock
        self._count = count
        self._logger = logger
        self._log_once = LogOnce(logger)
        self._clients = {_name(slack): SlackClient(slack, clock) for slack in _readable(settings)}

    def lanes(self, queue: outbox.Outbox) -> tuple[Lane, ...]:
        """Its lane; none where no channel can be read, and then nothing is left waiting in it."""
        if not self._clients:
            queue.drop(outbox.SLACK)
            return ()
        return (Lane(outbox.SLACK, {"find": self.find}, Backoff(5, 300)),)

    def ask(self, connection: Connection, incident_id: int, now: float) -> None:
        """Ask for the incident's message, in the transaction that records its ticket."""
        incident = connection.execute(select(incidents).where(incidents.c.id == incident_id)).one()
        # What an agent hands over is told by a ticket alone.
        if incident.alertname != "Handoff" and self._place(incident) is not None:
            _put(connection, _Look(incident_id, _since(connection, incident)), run_at=now)

    def find(self, item: Item) -> None:
        """One page of the channel, or the address of the message that was found in it."""
        look = _Look(**item.payload)
        with reading(self._engine).connect() as connection:
            incident = connection.execute(select(incidents).where(incidents.c.id == look.incident)).one()
            goes_on = _goes_on(connection, incident)
        place, now = self._place(incident), self._clock.now().timestamp()
        if place is None or goes_on or not incident.ticket_key:
            # A ticket that was deleted is replaced by one for which this is asked for anew.
            self._finish(item)
            return
        client, look = self._clients[_name(place)], replace(look, begun=look.begun or now)
        try:
            look = look if look.read else self._read(client, incident, look)
            link = client.permalink(look.ts) if look.ts is not None else None
        except Trouble as trouble:
            self._log_once.failed(f"slack/{place.channel_id}", str(trouble))
            if trouble.wait_s is not None and now - item.created_at < PATIENCE_S:
                raise _later(trouble.wait_s, look) from trouble
            self._look_again(item, incident, look, "failed")
            return
        self._log_once.succeeded(f"slack/{place.channel_id}")
        if look.ts is None:
            self._look_again(item, incident, look, "not_found")
            return
        self._link(item, incident, trusted_permalink(link))

    def _read(self, client: SlackClient, incident: IncidentRow, look: _Look) -> _Look:
        """The look with its last page read; Later when there are more."""
        # After its end nothing about the incident is said that says FIRING, except about its next episode.
        page = client.history(oldest=look.oldest, latest=incident.resolved_at, cursor=look.cursor)
        mark = Mark(self._settings.receiver.public_url, incident.alertname, incident.agent)
        # Older from page to page, so that the last one found is the first that was sent.
        look = replace(look, ts=mark.earliest(page.messages) or look.ts, cursor=page.cursor, pages=look.pages + 1)
        if page.cursor is not None and look.pages < MOST_PAGES:
            raise _later(0.0, look)
        return replace(look, read=look.ts is not None)

    def _look_again(self, item: Item, incident: IncidentRow, look: _Look, outcome: Outcome) -> None:
        over = outcome == "not_found" and incident.state != "firing"
        if over or look.number >= len(PAUSES_S):
            self._give_up(item, incident, look, outcome)
            return
        raise _later(PAUSES_S[look.number], look.after(outcome))

    def _give_up(self, item: Item, incident: IncidentRow, look: _Look, outcome: Outcome) -> None:
        """For good, or until the office hours in which the message will be sent."""
        hours, now = self._notify.office_hours, self._clock.now()
        waits = hours and incident.state == "firing" and _report(incident).severity != "critical"
        opening = opens_at(hours, now) if hours and waits else None
        if opening is not None:
            run_at = (opening + self._notify.group_interval).timestamp()
            with self._engine.begin() as connection:
                _put(connection, _Look(look.incident, look.after(outcome).oldest), run_at=run_at)
                outbox.finish(connection, item)
            return
        self._finish(item)
        self._count(outcome)
        self._logger.info("slack_message_not_linked", ticket=incident.ticket_key, outcome=outcome)

    def _link(self, item: Item, incident: IncidentRow, link: str | None) -> None:
        if link is None:
            self._finish(item)
            self._count("refused")
            self._logger.warning("slack_message_not_linked", ticket=incident.ticket_key, outcome="refused")
            return
        beside: dict[str, object] = {"links": [["slack", "Message in Slack", link]]}
        with self._engine.begin() as connection:
            tickets.put_beside(
                connection, incident.id, str(incident.ticket_key), beside, now=self._clock.now().timestamp()
            )
            outbox.finish(connection, item)
        self._count("linked")

    def _finish(self, item: Item) -> None:
        with self._engine.begin() as connection:
            outbox.finish(connection, item)

    def _place(self, incident: IncidentRow) -> Slack | None:
        report = _report(incident)
        return place_of(self._notify, severity=report.severity, agent=incident.agent, owner=report.owner)


def _report(incident: IncidentRow) -> Report:
    return Report.restore(json.loads(incident.report))


def _readable(settings: Settings) -> Iterator[Slack]:
    owned = (owner.slack for owner in settings.notify.owners.values())
    return (slack for slack in (settings.notify.slack, *owned) if slack and slack.channel_id)


def _name(slack: Slack) -> tuple[str, str | None]:
    return slack.api_url, slack.channel_id


def _since(connection: Connection, incident: IncidentRow) -> float:
    """No message about this episode is older: it began to fire then, and the one before it had ended."""
    began = connection.scalar(select(func.min(alerts.c.starts_at)).where(alerts.c.key == incident.key))
    before = (incidents.c.key == incident.key) & (incidents.c.episode < incident.episode)
    ended = connection.scalar(select(func.max(incidents.c.resolved_at)).where(before))
    opened_at = float(incident.opened_at)
    return max(min(began or opened_at, opened_at) - CLOCKS_DIFFER_S, ended or 0.0)


def _goes_on(connection: Connection, incident: IncidentRow) -> bool:
    """The ticket is already about a later episode, whose message it leads to."""
    later = (incidents.c.key == incident.key) & (incidents.c.episode > incident.episode)
    same_ticket = select(incidents.c.id).where(later, incidents.c.ticket_key == incident.ticket_key).limit(1)
    return connection.execute(same_ticket).first() is not None


def _put(connection: Connection, look: _Look, *, run_at: float) -> None:
    subject, payload = f"slack/{look.incident}", asdict(look)
    outbox.put(connection, lane=outbox.SLACK, kind="find", subject=subject, payload=payload, run_at=run_at)


def _later(after_s: float, look: _Look) -> Later:
    return Later(after_s, asdict(look))

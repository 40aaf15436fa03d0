"""What was decided of an incident becomes rows: episode, alerts, work outside and audit, all of them or none."""

from __future__ import annotations

from sqlalchemy import Connection

from alerting.receiver import audit, decide, incidents, kills, tickets
from alerting.receiver.decide import Decision
from alerting.receiver.payload import Identity, Notification, Told
from alerting.receiver.reports import Reporter
from alerting.receiver.text import paragraph
from handrail.database import take_turns

# In the audit log, which people read; what changes nothing is not in it.
_SAID: dict[type[decide.Action], str] = {
    decide.OpenIncident: "incident opened",
    decide.Change: "incident changed",
    decide.Resolve: "incident ended",
    decide.SwitchOff: "switch-off decided",
}


class Effects:
    """Decides and records, one incident at a time; whoever tells of the same incident waits for its turn."""

    def __init__(self, identity: Identity, policy: decide.Policy, reporter: Reporter, *, with_tickets: bool) -> None:
        self.identity = identity
        self._policy = policy
        self._reporter = reporter
        self._with_tickets = with_tickets

    def apply(self, connection: Connection, told: Told, now: float, *, actor: str) -> Decision:
        """Do what follows from `told`, in the caller's transaction."""
        take_turns(connection, f"incident/{told.key}")
        newest = incidents.newest(connection, told.key)
        decision = decide.decide(told, incidents.known(connection, told.key, newest), self._policy, now)
        incidents.remember(connection, told.key, decision.alerts)
        incident_id = newest.id if newest else None
        for action in decision.actions:
            incident_id = self._act(connection, action, told, incident_id, now, decision)
        if decision.reason.verdict not in ("repeat", "heartbeat") and (decision.actions or decision.alerts):
            said = [_SAID[type(action)] for action in decision.actions if type(action) in _SAID]
            audit.append(
                connection,
                now,
                actor=actor,
                action=", ".join(said) or decision.reason.verdict,
                subject=f"incident/{incident_id}"
                if incident_id is not None
                else f"alert/{told.notification.alertname}",
                alertname=told.notification.alertname,
                agent=told.notification.agent,
                reason=decision.reason.text,
            )
        return decision

    def _act(
        self,
        connection: Connection,
        action: decide.Action,
        told: Told,
        incident_id: int | None,
        now: float,
        decision: Decision,
    ) -> int | None:
        notification = told.notification
        match action:
            case decide.OpenIncident():
                incident_id = self._begin(connection, told, now)
                incidents.told_by(connection, incident_id, notification)
            case decide.SwitchOff(agent):
                reason = f"{notification.alertname} fires, and the agent opted in"
                kills.request(
                    connection, agent, "disable", reason=reason, by="handrail", incident_id=incident_id, now=now
                )
            case decide.Change() | decide.Repeat() if incident_id is not None:
                incidents.seen(connection, incident_id, digest=notification.state_digest, now=now)
                incidents.told_by(connection, incident_id, notification)
                if isinstance(action, decide.Change) and self._with_tickets:
                    self._comment(connection, incident_id, notification, decision, now)
            case decide.Resolve() if incident_id is not None:
                self.end(connection, incident_id, "Resolved: no alert of this incident fires any more.", now=now)
        return incident_id

    def end(self, connection: Connection, incident_id: int, text: str, *, now: float) -> None:
        """The incident is over; its ticket is closed with these words."""
        incidents.end(connection, incident_id, digest="", now=now)
        if self._with_tickets:
            tickets.put_close(connection, incident_id, (paragraph(text),), now=now)

    def say(self, connection: Connection, incident_id: int, text: str, *, now: float) -> None:
        """A comment on the incident's ticket, if there are tickets."""
        if self._with_tickets:
            tickets.put_comment(connection, incident_id, (paragraph(text),), now=now)

    def _begin(self, connection: Connection, told: Told, now: float) -> int:
        return incidents.begin(
            connection,
            key=told.key,
            alertname=told.notification.alertname,
            agent=told.notification.agent,
            digest=told.notification.state_digest,
            report=self._reporter.incident(told.notification),
            now=now,
            with_ticket=self._with_tickets,
        )

    def _comment(
        self, connection: Connection, incident_id: int, notification: Notification, decision: Decision, now: float
    ) -> None:
        if decision.reason is decide.Reason.OTHERS_FIRE:
            said = f"Resolved: {len(notification.alerts)} alert(s) of this incident. Others still fire."
            self.say(connection, incident_id, said, now=now)
        else:
            tickets.put_change(connection, incident_id, self._reporter.change(notification), now=now)

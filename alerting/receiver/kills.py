"""Switching an agent off ends in proof or in an alarm: requested, acting, then confirmed or not confirmed.

The flag is flipped and read back, running work is stopped, and then no call may come within the proof window.
Each step is remembered before the next, so that a crash goes on where it stopped. Kills have a lane of their own
and never wait for the ticket system. Only a named person switches an agent on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Row, func, insert, select, update

from alerting.receiver import audit, flags, outbox, tickets
from alerting.receiver.outbox import Item
from alerting.receiver.reports import moment
from alerting.receiver.schema import kills
from alerting.receiver.switches import Switch
from alerting.receiver.text import paragraph
from alerting.receiver.worker import Later, Permanent, Transient
from handrail.clock import Clock
from handrail.database import reading

ROUNDS = 3
DEADLINE_S = 600.0
# n8n's publication outbox lags behind its answer; anything it still starts is stopped by the second look.
EFFECT_S = 1.0

Action = Literal["disable", "enable"]


def request(
    connection: Connection,
    agent: str,
    action: Action,
    *,
    reason: str,
    by: str,
    now: float,
    incident_id: int | None = None,
    signed_in: str | None = None,
) -> int:
    """Record who wants what and why, set the flag the agent reads, and enqueue the operation; returns its id.

    `signed_in` is who gave the operator token, where that may be somebody else than who answers for it.
    """
    values = {"agent": agent, "action": action, "reason": reason, "requested_by": by, "requested_at": now}
    row = insert(kills).values(**values, state="requested", incident_id=incident_id).returning(kills.c.id)
    kill_id = int(connection.execute(row).scalar_one())
    flags.put(connection, agent, enabled=action == "enable", now=now)
    subject, payload = f"agent/{agent}", {"kill": kill_id, "step": "remember"}
    outbox.put(connection, lane=outbox.KILLS, kind=action, subject=subject, payload=payload, run_at=now)
    detail = {"kill": kill_id, "reason": reason} | ({"signed_in": signed_in} if signed_in else {})
    audit.append(connection, now, actor=by, action=f"{action} requested", subject=subject, **detail)
    return kill_id


class KillOperator:
    """The handlers of the kill lane. `count` is called with every state an operation reaches."""

    def __init__(
        self,
        engine: Engine,
        switches: Mapping[str, Switch],
        clock: Clock,
        *,
        proof_window_s: float,
        count: Callable[[str], None],
        with_tickets: bool,
    ) -> None:
        self._engine = engine
        self._switches = switches
        self._clock = clock
        self._proof_window_s = proof_window_s
        self._count = count
        self._with_tickets = with_tickets
        self.handlers = {"disable": self.disable, "enable": self.enable}

    def disable(self, item: Item) -> None:
        """One step of switching off; the item comes back for the next one."""
        kill = self._kill(item)
        switch = self._switch(kill)
        steps = {"remember": self._remember, "flip": self._flip, "stop": self._stop, "mark": self._mark}
        try:
            step = steps.get(item.payload["step"])
            if step is not None:
                step(item, switch)
            else:
                self._watch(item, kill, switch)
        except Transient as error:
            if kill.state != "not_confirmed" and self._now() - item.created_at > DEADLINE_S:
                self._conclude(item, kill, "not_confirmed", f"not reached within the deadline: {error}", last=False)
            raise

    def enable(self, item: Item) -> None:
        """Publish or switch on exactly what was live before, and read it back."""
        kill = self._kill(item)
        switch = self._switch(kill)
        switch.enable(self._previous(kill.agent))
        if not switch.enabled():
            raise Transient(f"{kill.agent} was switched on, but still reads as off")
        self._conclude(item, kill, "confirmed", f"read back as on at {moment(self._now())}")

    def gave_up(self, connection: Connection, item: Item, error: str) -> None:
        """The operation cannot be done at all: say so where a person looks, in the transaction that gives it up."""
        kill = connection.execute(select(kills).where(kills.c.id == item.payload["kill"])).one()
        self._record(connection, kill, "not_confirmed", error)
        self._count("not_confirmed")

    def _remember(self, item: Item, switch: Switch) -> None:
        """Before the flip, because afterwards nobody knows which version was live."""
        previous = switch.remember()
        if previous is not None:
            self._update(item, previous=previous, state="acting")
        raise Later(0, {**item.payload, "step": "flip"})

    def _flip(self, item: Item, switch: Switch) -> None:
        switch.disable()
        if switch.enabled():
            raise Transient("switched off, but it still reads as on")
        self._update(item, state="acting", acted_at=self._now())
        raise Later(EFFECT_S, {**item.payload, "step": "stop", "quiet": 0})

    def _stop(self, item: Item, switch: Switch) -> None:
        work = switch.stop_work()
        stopped = item.payload.get("stopped", 0) + work.stopped
        quiet = 0 if work.remaining or work.stopped else item.payload["quiet"] + 1
        if quiet < 2:
            raise Later(EFFECT_S, {**item.payload, "quiet": quiet, "stopped": stopped})
        raise Later(switch.settle_s, {**item.payload, "step": "mark", "stopped": stopped})

    def _mark(self, item: Item, switch: Switch) -> None:
        marked = {"step": "watch", "mark": switch.activity(), "marked_at": self._now()}
        raise Later(self._proof_window_s, {**item.payload, **marked})

    def _watch(self, item: Item, kill: Row[tuple[object, ...]], switch: Switch) -> None:
        enabled, mark = switch.enabled(), switch.activity()
        if not enabled and mark == item.payload["mark"]:
            since, until = moment(item.payload["marked_at"]), moment(self._now())
            stopped = item.payload.get("stopped", 0)
            proof = f"reads as off; {stopped} execution(s) stopped; no call from {since} to {until} (last: {mark})"
            self._conclude(item, kill, "confirmed", proof)
            return
        round_ = item.payload.get("round", 1)
        if round_ < ROUNDS:
            raise Later(0, {"kill": item.payload["kill"], "step": "flip", "round": round_ + 1})
        why = "it reads as on again" if enabled else f"calls go on ({item.payload['mark']}, then {mark})"
        self._conclude(item, kill, "not_confirmed", f"after {ROUNDS} attempts {why}")

    def _conclude(
        self, item: Item, kill: Row[tuple[object, ...]], state: str, proof: str, *, last: bool = True
    ) -> None:
        with self._engine.begin() as connection:
            if last:
                outbox.finish(connection, item)
            else:
                outbox.renew(connection, item, now=self._now())
            self._record(connection, kill, state, proof)
        self._count(state)

    def _record(self, connection: Connection, kill: Row[tuple[object, ...]], state: str, proof: str) -> None:
        now = self._now()
        values = {"state": state, "proof": proof, "confirmed_at": now if state == "confirmed" else None}
        connection.execute(update(kills).where(kills.c.id == kill.id).values(**values))
        if kill.incident_id is not None and self._with_tickets:
            verdict = "Confirmed" if state == "confirmed" else "NOT CONFIRMED, switch it off by hand"
            said = paragraph(f"Switch-off of {kill.agent}: {verdict}. {proof[0].upper()}{proof[1:]}.")
            # Before the audit row, as everywhere: who takes both locks takes them in this order.
            tickets.put_comment(connection, int(str(kill.incident_id)), (said,), now=now)
        subject, action = f"agent/{kill.agent}", f"{kill.action} {state.replace('_', ' ')}"
        audit.append(connection, now, actor="handrail", action=action, subject=subject, kill=kill.id, proof=proof)

    def _switch(self, kill: Row[tuple[object, ...]]) -> Switch:
        switch = self._switches.get(str(kill.agent))
        if switch is None:
            raise Permanent(f"{kill.agent} has no kill_switch in handrail.yaml")
        return switch

    def _kill(self, item: Item) -> Row[tuple[object, ...]]:
        with reading(self._engine).connect() as connection:
            return connection.execute(select(kills).where(kills.c.id == item.payload["kill"])).one()

    def _previous(self, agent: object) -> str | None:
        query = select(kills.c.previous).where(kills.c.agent == agent, kills.c.previous.is_not(None))
        with reading(self._engine).connect() as connection:
            return connection.scalar(query.order_by(kills.c.id.desc()).limit(1))

    def _update(self, item: Item, **values: Any) -> None:
        with self._engine.begin() as connection:
            outbox.renew(connection, item, now=self._now())
            connection.execute(update(kills).where(kills.c.id == item.payload["kill"]).values(**values))

    def _now(self) -> float:
        return self._clock.now().timestamp()


def unconfirmed(engine: Engine, agents: Iterable[str]) -> dict[str, int]:
    """For each agent 1 if its newest operation is a switch-off that was not confirmed, else 0."""
    newest = select(func.max(kills.c.id)).group_by(kills.c.agent)
    query = select(kills.c.agent).where(
        kills.c.id.in_(newest), kills.c.action == "disable", kills.c.state == "not_confirmed"
    )
    with reading(engine).connect() as connection:
        open_ = set(connection.scalars(query))
    return {agent: int(agent in open_) for agent in agents}


def of_agent(engine: Engine, agent: str, *, limit: int = 20) -> list[dict[str, Any]]:
    """The agent's operations, newest first, with ISO times."""
    query = select(kills).where(kills.c.agent == agent).order_by(kills.c.id.desc()).limit(limit)
    with reading(engine).connect() as connection:
        return [_shown(row) for row in connection.execute(query)]


def newest(engine: Engine) -> dict[str, dict[str, Any]]:
    """The newest operation of each agent that was ever switched, with ISO times."""
    query = select(kills).where(kills.c.id.in_(select(func.max(kills.c.id)).group_by(kills.c.agent)))
    with reading(engine).connect() as connection:
        return {str(row.agent): _shown(row) for row in connection.execute(query)}


def _shown(row: Row[tuple[object, ...]]) -> dict[str, Any]:
    names = ("id", "action", "state", "reason", "requested_by", "proof")
    return {name: row._mapping[name] for name in names} | {
        name: flags.iso(row._mapping[name]) for name in ("requested_at", "acted_at", "confirmed_at")
    }

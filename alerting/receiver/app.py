"""Puts the receiver together: tables, workers and pages around one database; SIGTERM ends it cleanly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import FastAPI
from sqlalchemy import Engine

from alerting.receiver import audit, flags, incidents, kills, outbox, server, web
from alerting.receiver.anchors import Anchors
from alerting.receiver.api.access import Access
from alerting.receiver.api.parts import Parts
from alerting.receiver.console.board import Boards
from alerting.receiver.console.history import History
from alerting.receiver.console.sessions import Sessions
from alerting.receiver.decide import Policy
from alerting.receiver.drills import DrillLog
from alerting.receiver.effects import Effects
from alerting.receiver.firing import Alertmanagers
from alerting.receiver.handoffs import HandoffDesk, taken
from alerting.receiver.heartbeat import Heart
from alerting.receiver.inbox import Heartbeats, Inbox, Intake
from alerting.receiver.jira.tickets import JiraTickets, say_missing_fields
from alerting.receiver.kills import KillOperator
from alerting.receiver.metrics import ReceiverMetrics, Tables
from alerting.receiver.observed import CallCount, PrometheusReader
from alerting.receiver.outbox import Outbox
from alerting.receiver.overview import Overview
from alerting.receiver.payload import Identity
from alerting.receiver.reconcile import Waits
from alerting.receiver.reconciler import Reconciler
from alerting.receiver.reports import Reporter
from alerting.receiver.retention import Retention
from alerting.receiver.schema import MIGRATIONS
from alerting.receiver.server import Renewal
from alerting.receiver.situation import SituationReader
from alerting.receiver.slack.search import MessageSearch
from alerting.receiver.switches import Switch
from alerting.receiver.switches.env_file import EnvFile
from alerting.receiver.switches.n8n import N8nWorkflow
from alerting.receiver.ticket_desk import TicketDesk
from alerting.receiver.ticket_port import TicketPort
from alerting.receiver.ticket_records import TicketRecords
from alerting.receiver.worker import Backoff, Lane, Worker
from handrail import logs
from handrail.agent_settings import Agent, EnvFileSwitch, N8nAgent, N8nSwitch
from handrail.clock import Clock, SystemClock
from handrail.database import create_engine, migrate
from handrail.http import HttpClient, build_client
from handrail.redact import Redactor
from handrail.redact.key import redaction_key
from handrail.settings import Settings

Loop = Callable[[threading.Event], None]


@dataclass(frozen=True, slots=True)
class Receiver:
    """The assembled receiver: the web application and the loops that must run beside it."""

    app: FastAPI
    loops: dict[str, Loop]
    engine: Engine
    intake: Intake
    workers: dict[str, Worker]
    anchors: Anchors
    handoffs: HandoffDesk
    reconciler: Reconciler


def _connect_alertmanager(url: str) -> HttpClient:
    return build_client(base_url=url, timeout_s=5)


def assemble(
    settings: Settings,
    *,
    clock: Clock,
    port: TicketPort | None,
    switches: dict[str, Switch],
    prometheus: HttpClient,
    exporter: HttpClient,
    connect_alertmanager: Callable[[str], HttpClient] = _connect_alertmanager,
) -> Receiver:
    """Everything around the settings' database, which is brought to the newest schema first."""
    engine = create_engine(settings.receiver.database_url)
    migrate(engine, MIGRATIONS)
    logger = logs.get_logger("receiver")
    reporter = Reporter(settings, redactor := Redactor(redaction_key(settings.receiver.webhook_token)))
    inbox, queue = Inbox(engine, clock, redactor), Outbox(engine, clock)
    scope, with_tickets = settings.team.name, port is not None
    heartbeats = Heartbeats()
    drill_log = DrillLog(engine, clock)
    metrics = ReceiverMetrics(_tables(engine, settings, queue, heartbeats, sorted(switches), drill_log))
    effects = _effects(settings, reporter, with_tickets=with_tickets)
    intake = Intake(engine, clock, effects, heartbeats, count=metrics.decision, give_way=inbox.give_way, logger=logger)
    window_s, count = settings.receiver.proof_window.total_seconds(), metrics.kill
    operator = KillOperator(engine, switches, clock, proof_window_s=window_s, count=count, with_tickets=with_tickets)

    lanes = [Lane(outbox.KILLS, operator.handlers, Backoff(0.5, 10), operator.gave_up)]
    if port is not None:
        search = MessageSearch(settings, engine, clock, count=metrics.slack_link, logger=logger)
        records = TicketRecords(engine, clock, metrics.ticket, also=search.ask)
        desk = _desk(settings, records, port, SituationReader(settings, engine, exporter, redactor))
        lanes.append(Lane(outbox.TICKETS, desk.handlers, Backoff(1, 300), on_lost=desk.lost))
        lanes += search.lanes(queue)
    workers = {lane.name: Worker(queue, lane, clock=clock, logger=logger, on_lost=metrics.lease_lost) for lane in lanes}
    handoffs = HandoffDesk(engine, clock, scope=scope, reporter=reporter, port=port)
    overview, access = Overview(settings, engine, PrometheusReader(prometheus)), Access(settings, clock)
    parts = Parts(
        settings,
        engine,
        clock,
        inbox,
        handoffs,
        overview,
        drill_log,
        metrics,
        access=access,
        sessions=Sessions(engine, clock, access.operator_tokens),
        boards=Boards(engine, clock, overview, History(prometheus, clock), drill_log),
        logger=logger,
        log_once=logs.LogOnce(logger),
    )
    app = web.application(parts)
    loops = {lane: each.run for lane, each in workers.items()} | _heart(settings, clock, heartbeats, metrics, logger)
    reconciler = _reconciler(settings, engine, clock, effects, metrics, connect_alertmanager)
    anchors = Anchors(engine, logger)
    loops |= {"retention": Retention(engine, clock, logger).run, "anchors": anchors.run, "reconciler": reconciler.run}
    loops["inbox"] = lambda stop: intake.run(stop, inbox.arrived)
    loops["handoffs"] = lambda stop: handoffs.run(stop, logs.LogOnce(logger))
    return Receiver(app, loops, engine, intake, workers, anchors, handoffs, reconciler)


def _desk(settings: Settings, records: TicketRecords, port: TicketPort, situation: SituationReader) -> TicketDesk:
    jira = settings.tickets.jira
    reopen_within_s = jira.reopen_within.total_seconds() if jira else 0.0
    return TicketDesk(records, port, reopen_within_s=reopen_within_s, situation=situation.of)


def _effects(settings: Settings, reporter: Reporter, *, with_tickets: bool) -> Effects:
    identity = Identity(settings.team.name, settings.receiver.incident_labels)
    return Effects(identity, _policy(settings), reporter, with_tickets=with_tickets)


def _reconciler(
    settings: Settings,
    engine: Engine,
    clock: Clock,
    effects: Effects,
    metrics: ReceiverMetrics,
    connect: Callable[[str], HttpClient],
) -> Reconciler:
    waits = Waits(
        group_wait_s=settings.notify.group_wait.total_seconds(),
        late_s=_policy(settings).late_s,
        every_s=settings.receiver.reconcile_interval.total_seconds(),
    )
    return Reconciler(
        engine,
        clock,
        Alertmanagers(settings.alertmanagers, connect),
        effects,
        waits,
        looked=metrics.reconciler_look,
        found=metrics.reconciler_finding,
        logger=logs.get_logger("receiver"),
    )


def _policy(settings: Settings) -> Policy:
    """A peer waits 15 s for each before it, and tries until the next flush of the group is due."""
    late_s = 15 * len(settings.alertmanagers) + max(settings.notify.group_interval.total_seconds(), 10)
    return Policy({agent.name: frozenset(agent.kill_on) for agent in settings.agents}, late_s=late_s)


def _heart(
    settings: Settings, clock: Clock, heartbeats: Heartbeats, metrics: ReceiverMetrics, logger: logs.Logger
) -> dict[str, Loop]:
    """The loop of the heartbeat, if the team wants one."""
    heartbeat = settings.notify.heartbeat
    if heartbeat is None:
        return {}
    heart = Heart(
        heartbeat.url,
        build_client,
        clock,
        every_s=heartbeat.every.total_seconds(),
        heard=lambda: heartbeats.last,
        count=metrics.heartbeat,
        logger=logger,
    )
    return {"heartbeat": heart.run}


def _tables(
    engine: Engine, settings: Settings, queue: Outbox, heartbeats: Heartbeats, switches: list[str], drill_log: DrillLog
) -> Tables:
    agents = [agent.name for agent in settings.agents]
    return Tables(
        outbox=queue,
        heartbeat=lambda: heartbeats.last,
        flags=lambda: flags.of(engine, agents),
        flags_changed=lambda: flags.changed(engine, agents),
        unconfirmed=lambda: kills.unconfirmed(engine, switches),
        handoffs=lambda: taken(engine),
        drills=drill_log.last_successes,
        audited=lambda: audited.id if (audited := audit.head(engine)) else 0,
        open_tickets=lambda: incidents.open_tickets(engine),
    )


def build_switches(settings: Settings, clock: Clock) -> dict[str, Switch]:
    """The switch of every agent that has one, by the agent's name."""
    found: dict[str, Switch] = {}
    for agent in settings.agents:
        if isinstance(agent.kill_switch, N8nSwitch) and isinstance(agent.source, N8nAgent):
            found[agent.name] = N8nWorkflow(_n8n_connector(settings, agent.source.n8n), agent.source.workflow)
        elif isinstance(agent.kill_switch, EnvFileSwitch):
            found[agent.name] = _env_file(settings, agent, agent.kill_switch, clock)
    return found


def _n8n_connector(settings: Settings, name: str) -> Callable[[], HttpClient]:
    source = next(source for source in settings.sources.n8n if source.name == name)
    # The key is read for each operation, so that a rotated one is used at once.
    return lambda: build_client(base_url=source.url, headers={"X-N8N-API-KEY": source.api_key.read()})


def _env_file(settings: Settings, agent: Agent, switch: EnvFileSwitch, clock: Clock) -> EnvFile:
    """A call that was under way when the file changed shows up after its source's delay and two of its intervals."""
    kind, name = agent.source.source_ref
    if kind == "n8n":
        delay = next(s for s in settings.sources.n8n if s.name == name).poll_interval.total_seconds() * 2
    else:
        source = next(s for s in settings.sources.cloudflare if s.name == name)
        delay = source.hold_back.total_seconds() + source.poll_interval.total_seconds() * 2
    client = build_client(base_url=f"http://{settings.exporter.listen}")
    calls = CallCount(client, clock, max_age_s=delay + 60)
    return EnvFile(switch.env_file, activity=lambda: calls.of(agent.name), settle_s=delay + 1)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    serve(assembled(settings, SystemClock()), settings)


def assembled(settings: Settings, clock: Clock) -> Receiver:
    """The receiver in front of the services that the settings name; nothing of it runs yet."""
    jira = settings.tickets.jira
    tickets = JiraTickets(jira, clock) if jira else None
    receiver = assemble(
        settings,
        clock=clock,
        port=tickets,
        switches=build_switches(settings, clock),
        prometheus=build_client(base_url=f"http://{settings.prometheus.listen}", timeout_s=3),
        exporter=build_client(base_url=f"http://{settings.exporter.listen}", timeout_s=3),
    )
    if tickets is not None:
        receiver.loops["fields"] = lambda _: say_missing_fields(tickets, logs.get_logger("receiver"))
    return receiver


def serve(receiver: Receiver, settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C, with all that runs beside."""
    serving, loops = server.server(receiver.app, settings), dict(receiver.loops)
    if settings.receiver.tls is not None and serving.config.ssl is not None:
        loops["certificate"] = Renewal(serving.config.ssl, settings.receiver.tls, logs.get_logger("receiver")).run
    stop = threading.Event()
    # The server raises anew the signal that ended it, which would end the process before anything else is done.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [threading.Thread(target=loop, args=(stop,), name=name) for name, loop in loops.items()]
    for thread in threads:
        thread.start()
    try:
        serving.run()
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10)
        receiver.anchors.say()
        receiver.engine.dispose()

"""What stands behind the paths."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from alerting.receiver.api.access import Access
from alerting.receiver.console.board import Boards
from alerting.receiver.console.sessions import Sessions
from alerting.receiver.drills import DrillLog
from alerting.receiver.handoffs import HandoffDesk
from alerting.receiver.inbox import Inbox
from alerting.receiver.metrics import ReceiverMetrics
from alerting.receiver.overview import Overview
from handrail.clock import Clock
from handrail.logs import Logger, LogOnce
from handrail.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """What the interface stands in front of."""

    settings: Settings
    engine: Engine
    clock: Clock
    inbox: Inbox
    desk: HandoffDesk
    overview: Overview
    drill_log: DrillLog
    metrics: ReceiverMetrics
    access: Access
    sessions: Sessions
    boards: Boards
    logger: Logger
    log_once: LogOnce

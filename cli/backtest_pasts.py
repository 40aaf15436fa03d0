"""Where the past of an alert comes from: the Prometheus that runs, or the ledger's calls in one of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from alerting.backtest.plan import Compared
from exporter.calls_view import NoCalls
from exporter.history import from_ledger
from exporter.history.spool import Spool
from handrail.clock import Clock
from handrail.http import HttpClient
from handrail.settings import Settings
from stack.history import make_blocks
from stack.past import Past, PastUnknown
from stack.plan import reachable
from stack.scratch import scratch_prometheus
from stack.tools import find

# What every rule about an agent needs, so its past begins there.
_FROM = "agent:handrail_calls:sum"
# Prometheus loses the youngest calls of a ledger and gains the oldest; less than this is no reason to leave it.
_WORTH_IT = timedelta(hours=1)


class NoPast(Exception):
    """Neither Prometheus nor the ledger can say anything; the text says why."""


@dataclass(frozen=True, slots=True)
class Known:
    """By agent, how far back Prometheus and the ledger go; `silent`: why Prometheus does not answer."""

    prometheus: dict[str, datetime]
    ledger: dict[str, datetime]
    silent: str | None = None

    def from_ledger(self, rule: Compared, begins: datetime) -> bool:
        """Whether to ask the ledger: because it must be counted anew, or because Prometheus does not reach so far."""
        if not rule.reads <= from_ledger.SERIES or not self.ledger:
            return False
        if rule.recount or not self.prometheus:
            return True
        reached = max(min(self.prometheus.values()), begins)
        return max(min(self.ledger.values()), begins) < reached - _WORTH_IT


def known(client: HttpClient, settings: Settings, *, since: timedelta, agent: str | None) -> Known:
    """What there is; NoPast when there is nothing."""
    silent = None
    prometheus: dict[str, datetime] = {}
    try:
        prometheus = running(client, settings).begins(_FROM, since=since)
    except PastUnknown as error:
        silent = str(error)
    try:
        ledger = from_ledger.first_calls(settings)
    except NoCalls as error:
        if not prometheus:
            raise NoPast(f"{silent or 'Prometheus has no calls yet'}\nAnd {error}") from error
        ledger = {}
    if agent is not None:
        prometheus, ledger = ({agent: each[agent]} if agent in each else {} for each in (prometheus, ledger))
    if not prometheus and not ledger:
        raise NoPast(f"no call of {agent or 'any agent'} in Prometheus or in the ledger")
    return Known(prometheus, ledger, silent)


def running(client: HttpClient, settings: Settings) -> Past:
    """The Prometheus of the stack."""
    return Past(client, f"http://{reachable(settings.prometheus.listen)}")


@contextmanager
def of_ledger(
    client: HttpClient,
    clock: Clock,
    counted_by: list[Settings],
    *,
    agents: list[str],
    state: Path,
    say: Callable[[str], None],
) -> Iterator[list[Past]]:
    """The ledger's calls as Prometheus would have them, once for each of these settings. All is gone afterwards.

    HistoryFailed, ToolMissing, NoCalls or PastUnknown when that cannot be.
    """
    programs = {name: find(name, state=state) for name in ("promtool", "prometheus")}
    with tempfile.TemporaryDirectory(prefix="handrail-backtest-") as name:
        folder = Path(name)
        spool = Spool(folder / "calls.sqlite", identity="ledger")
        try:
            say("Reading the ledger …")
            count = from_ledger.gather(counted_by[0], spool, agents)
            pasts: list[Past] = []
            with ExitStack() as servers:
                for number, settings in enumerate(counted_by):
                    own = folder / str(number)
                    own.mkdir()
                    say(f"Counting {count} calls, {number + 1} of {len(counted_by)} …")
                    list(from_ledger.write(settings, spool, own / "history.om", until=clock.now()))
                    make_blocks(programs["promtool"], own / "history.om", own / "blocks")
                    server = scratch_prometheus(programs["prometheus"], own, client, clock)
                    pasts.append(Past(client, servers.enter_context(server)))
                yield pasts
        finally:
            spool.close()

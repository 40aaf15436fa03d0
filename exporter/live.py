"""What runs under one reading of the configuration, and how the next reading takes its place.

Totals, streaks and cursors are in the ledger and the health of a source outlives its poller: a change resets
nothing.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass

import httpx

from exporter.credentials.plain import plain_secrets
from exporter.credentials.watch import CredentialWatch
from exporter.health import SourceHealth
from exporter.ledger import Ledger
from exporter.poller import Poller, Pollers
from exporter.probes import Probe, liveness, readiness
from exporter.sources.budget import Budget, Budgets
from exporter.watch import Watched, Wiring
from handrail.clock import Clock
from handrail.logs import get_logger
from handrail.settings import Settings

# It stores nothing, so it is not worth waiting for: it ends with the request that it waits for.
_LOOK_ENDS_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class _Round:
    """Everything that belongs to one reading of the configuration."""

    settings: Settings
    stopping: threading.Event
    connections: ExitStack
    sources: list[SourceHealth]
    pollers: Pollers
    credentials: CredentialWatch
    budgets: dict[str, Budget]
    looking: threading.Thread

    def start(self) -> None:
        self.pollers.start()
        self.looking.start()

    def stop(self) -> None:
        self.pollers.stop()
        if self.looking.ident is not None:
            self.looking.join(timeout=_LOOK_ENDS_WITHIN_S)
        self.connections.close()


class Live:
    """The sources of the present settings with a thread for each."""

    def __init__(
        self, settings: Settings, ledger: Ledger, clock: Clock, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.ledger = ledger
        self._clock = clock
        self._transport = transport
        self._health: dict[str, SourceHealth] = {}
        self._budgets = Budgets(clock)
        self._round = self._build(settings)

    @property
    def settings(self) -> Settings:
        """The settings that hold now."""
        return self._round.settings

    @property
    def sources(self) -> list[SourceHealth]:
        """The health of every source that is watched now, in the order of the settings."""
        return self._round.sources

    @property
    def credentials(self) -> CredentialWatch:
        """The credentials that are watched now."""
        return self._round.credentials

    @property
    def budgets(self) -> dict[str, Budget]:
        """The request budget of each Cloudflare source, by its name."""
        return self._round.budgets

    def ready(self) -> Probe:
        """What /-/ready answers."""
        return readiness(self.sources, stopping=self._round.stopping.is_set())

    def healthy(self) -> Probe:
        """What /-/healthy answers."""
        return liveness(self._round.pollers.dead)

    def start(self) -> None:
        """Begin to read the sources."""
        self._round.start()

    def change(self, settings: Settings) -> None:
        """Read these from now on. Until the new sources are built, and when that fails, the old ones go on."""
        following = self._build(settings)
        self._round.stop()
        self.ledger.reconfigure(settings)
        self._round = following
        following.start()

    def stop(self) -> None:
        """End it, within a bound; afterwards nothing is stored and no connection is open."""
        self._round.stop()

    def look_once(self) -> None:
        """Poll every source and look at every credential once, in this thread."""
        self._round.pollers.poll_once()
        self._round.credentials.look()

    def _build(self, settings: Settings) -> _Round:
        stopping, logger = threading.Event(), get_logger("poller")
        with ExitStack() as connections:
            wiring = Wiring(
                settings,
                self._clock,
                stack=connections,
                transport=self._transport,
                health_of=lambda name: self._health.setdefault(name, SourceHealth(name)),
                stopping=stopping,
                budgets=self._budgets,
                state_of=self.ledger.state,
            )
            watched = wiring.watched()
            pollers = Pollers([self._poller(each) for each in watched], logger, stopping=stopping)
            opened = {it.credential: [o.health for o in watched if o.credential is it.credential] for it in watched}
            plain = [(secret, ()) for secret in plain_secrets(settings)]
            credentials = CredentialWatch([*opened.items(), *plain], get_logger("credentials"))
            return _Round(
                settings=settings,
                stopping=stopping,
                sources=[each.health for each in watched],
                pollers=pollers,
                credentials=credentials,
                budgets=wiring.budgets_by_source(),
                looking=threading.Thread(target=credentials.run, args=(stopping,), name="credentials", daemon=True),
                connections=connections.pop_all(),
            )

    def _poller(self, each: Watched) -> Poller:
        return Poller(
            each.source,
            self.ledger,
            each.health,
            get_logger("poller"),
            clock=self._clock,
            what_to_do=each.credential.what_to_do,
        )

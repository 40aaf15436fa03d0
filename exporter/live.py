"""What runs under one reading of the configuration, and how the next reading takes its place.

Totals, streaks and cursors are in the ledger and the health of a source outlives its poller: a change resets
nothing.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack

import httpx

from exporter.credentials.plain import plain_secrets
from exporter.credentials.watch import CredentialWatch
from exporter.health import SourceHealth
from exporter.ledger import Ledger
from exporter.poller import Poller, Pollers
from exporter.probes import Probe, liveness, readiness
from exporter.watch import Watched, Wiring
from handrail.clock import Clock
from handrail.logs import get_logger
from handrail.settings import Settings

# It stores nothing, so it is not worth waiting for: it ends with the request that it waits for.
_LOOK_ENDS_WITHIN_S = 1.0


class Live:
    """The sources of the present settings with a thread for each."""

    def __init__(
        self, settings: Settings, ledger: Ledger, clock: Clock, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._transport = transport
        self._health: dict[str, SourceHealth] = {}
        self._stack = ExitStack()
        self._build(settings)

    @property
    def sources(self) -> list[SourceHealth]:
        """The health of every source that is watched now, in the order of the settings."""
        return self._sources

    def ready(self) -> Probe:
        """What /-/ready answers."""
        return readiness(self._sources, stopping=self._stopping.is_set())

    def healthy(self) -> Probe:
        """What /-/healthy answers."""
        return liveness(self._pollers.dead)

    def start(self) -> None:
        """Begin to read the sources."""
        self._pollers.start()
        self._looking.start()

    def stop(self) -> None:
        """End it, within a bound; afterwards nothing is stored and no connection is open."""
        self._pollers.stop()
        self._looking.join(timeout=_LOOK_ENDS_WITHIN_S)
        self._stack.close()

    def _build(self, settings: Settings) -> None:
        self._stopping = threading.Event()
        wiring = Wiring(
            settings,
            self._clock,
            stack=self._stack,
            transport=self._transport,
            health_of=lambda name: self._health.setdefault(name, SourceHealth(name)),
            stopping=self._stopping,
        )
        watched = wiring.watched()
        self.settings = settings
        self._sources = [each.health for each in watched]
        pollers = [self._poller(each) for each in watched]
        self._pollers = Pollers(pollers, get_logger("poller"), stopping=self._stopping)
        opened = {
            each.credential: [other.health for other in watched if other.credential is each.credential]
            for each in watched
        }
        self.credentials = CredentialWatch(
            [*opened.items(), *((secret, ()) for secret in plain_secrets(settings))], get_logger("credentials")
        )
        self._looking = threading.Thread(
            target=self.credentials.run, args=(self._stopping,), name="credentials", daemon=True
        )

    def _poller(self, each: Watched) -> Poller:
        return Poller(
            each.source,
            self._ledger,
            each.health,
            get_logger("poller"),
            clock=self._clock,
            what_to_do=each.credential.what_to_do,
        )

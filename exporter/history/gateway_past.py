"""The past of AI Gateways: the source itself, told that it began earlier, window by window until now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from exporter.history.past import Reached
from exporter.history.spool import Spool
from exporter.sources import State
from exporter.sources.ai_gateway import AiGatewaySource
from handrail.clock import Clock
from handrail.source_settings import CloudflareSource as CloudflareSettings


class GatewayPast:
    """A Past."""

    def __init__(self, settings: CloudflareSettings, source: AiGatewaySource, clock: Clock) -> None:
        self._settings = settings
        self._source = source
        self._clock = clock
        self._calls = 0
        self._oldest: datetime | None = None

    @property
    def name(self) -> str:
        """As the label `source`."""
        return self._source.name

    def read(self, spool: Spool, since: datetime) -> Iterator[Reached]:
        """From the oldest to the newest; where one gateway cannot be read, the others are read to their next window."""
        until = self._clock.now() - self._settings.hold_back
        state, self._calls = spool.state(self.name), spool.count(self.name)
        if not state or any(_moment(gateway, "began") > since for gateway in state["gateways"].values()):
            state = self._beginning(since)
        reached = self._reached(state, until)
        while reached < until:
            batch = self._source.poll(state)
            spool.store_state(self.name, batch.calls, batch.state)
            self._calls += len(batch.calls)
            ends = [call.finished_at for call in batch.calls]
            self._oldest = min([*ends, *([self._oldest] if self._oldest else [])], default=None)
            if batch.trouble:
                raise batch.trouble
            state = batch.state
            reached = self._reached(state, until)
            yield Reached(self.name, reached, (reached - since) / (until - since), self._calls)

    def kept_since(self, since: datetime) -> datetime | None:
        """The end of the first call that was read: the log does not tell whether there was more."""
        return self._oldest

    def _beginning(self, since: datetime) -> State:
        begin = {"began": since.isoformat(), "reached": since.isoformat()}
        return {"gateways": {gateway: dict(begin) for gateway in self._settings.gateways}}

    @staticmethod
    def _reached(state: State, until: datetime) -> datetime:
        return min((_moment(gateway, "reached") for gateway in state["gateways"].values()), default=until)


def _moment(gateway: State, name: str) -> datetime:
    return datetime.fromisoformat(str(gateway[name]))

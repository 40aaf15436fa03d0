"""A source over a simulated n8n, with the state that a ledger would keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from drill.simulators.n8n import N8nSimulator
from drill.simulators.wire import Request, Response, answer
from exporter.calls import Call
from exporter.sources import Batch, State
from exporter.sources.n8n import N8nSource

CONFIG = """
sources: {n8n: [{name: main, url: "http://n8n.test", api_key_env: N8N_KEY, poll_interval: 2s}]}
agents:
  - {name: invoices, from: {n8n: main, workflow: Invoice summary}, confidence: $.confidence}
"""
DISCOVER = CONFIG.replace("poll_interval: 2s", "poll_interval: 2s, discover: true, exclude: [Private]")


@dataclass
class Requests:
    """Counts the requests; `then` is run when the given number of them is reached."""

    count: int = 0
    at: int = -1
    then: Callable[[], None] = lambda: None

    def __call__(self, _status: str) -> None:
        self.count += 1
        if self.count == self.at:
            self.then()


class Front:
    """Stands before an n8n: notes every request, and answers those for which `instead` has an answer."""

    def __init__(self, behind: WSGIApplication) -> None:
        self._behind = behind
        self.requests: list[Request] = []
        self.instead: Callable[[Request], Response | None] = lambda _request: None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = {key[5:].lower().replace("_", "-"): value for key, value in environ.items() if key[:5] == "HTTP_"}
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        request = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], query, headers, b"")
        self.requests.append(request)
        if given := self.instead(request):
            return answer(lambda _request: given, environ, start_response)
        return self._behind(environ, start_response)


@dataclass
class Reading:
    """Polls, and keeps what was found; `repeated` is how many calls were reported more than once."""

    n8n: N8nSimulator
    source: N8nSource
    requests: Requests
    front: Front
    state: State = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    repeated: int = 0
    last: Batch | None = None

    def poll(self) -> Batch:
        batch = self.source.poll(self.state)
        self.state, self.last = batch.state, batch
        self.repeated += sum(call.id in self.calls for call in batch.calls)
        self.calls |= {call.id: call for call in batch.calls}
        return batch

    def gauge(self, metric: str, **labels: str) -> float:
        """What the last poll read; of the agent `invoices` where no label is given."""
        assert self.last is not None
        wanted = labels or {"agent": "invoices"}
        (value,) = (one.value for one in self.last.gauges or () if (one.metric, dict(one.labels)) == (metric, wanted))
        return value

    def counted(self, metric: str, **labels: str) -> float:
        """What the last poll counted of an agent."""
        assert self.last is not None
        found = [count for count in self.last.counts if count.metric == metric]
        return sum(count.amount for count in found if {"agent": count.agent, **count.labels} == labels)

    def workflow(self, name: str = "Invoice summary") -> str:
        """The id of the workflow of that name."""
        return next(key for key, found in self.n8n.workflows.items() if found.name == name)

"""The simulated world as one process: every simulator on its port, steady traffic, and a control API."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypeVar
from wsgiref.types import StartResponse, WSGIEnvironment

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drill.simulators.agents import AgentExists, Agents, Call, NotPossible, SwitchedOff, UnknownAgent
from drill.simulators.caller import HandoffClient, SupportBot
from drill.simulators.cloudflare import CloudflareSimulator
from drill.simulators.jira import JiraSimulator
from drill.simulators.jira_content import plain_text
from drill.simulators.llm import LlmSimulator
from drill.simulators.n8n import N8nSimulator
from drill.simulators.n8n_recordings import Outcome
from drill.simulators.slack import SlackSimulator
from drill.simulators.traffic import INTERVAL_S, SteadyTraffic
from drill.simulators.wire import Refused, Request, Response, Router, answer, json_response, serve
from handrail.clock import Clock, SystemClock
from handrail.ports import Ports

_log = structlog.get_logger()

ACCOUNT, GATEWAY = "0123456789abcdef0123456789abcdef", "prod"
MAX_CALLS = 1000


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _AgentOrder(_Order):
    name: str = Field(min_length=1)
    kind: Literal["n8n", "gateway"] = "n8n"
    workflow_name: str | None = None
    confidence: bool = False


class _CallOrder(_Order):
    agent: str
    count: int = Field(default=1, ge=1, le=MAX_CALLS)
    duration_s: float = Field(default=1.0, ge=0)
    outcome: Outcome = "success"
    tokens_in: int | None = Field(default=None, ge=0)
    tokens_out: int | None = Field(default=None, ge=0)
    confidence: float | None = Field(default=None, ge=0, le=1)
    spacing_s: float = Field(default=0.0, ge=0)


class _FaultOrder(_Order):
    target: Literal["n8n", "cloudflare", "llm", "jira", "slack"]
    kind: str
    count: int | None = Field(default=None, ge=1)
    seconds: float = Field(default=30.0, gt=0)


class _TrafficOrder(_Order):
    on: bool


class _AskOrder(_Order):
    agent: str
    count: int = Field(default=1, ge=1, le=20)
    question: str = "Where is my order 1042?"


OrderT = TypeVar("OrderT", bound=_Order)


def _order(request: Request, kind: type[OrderT]) -> OrderT:
    try:
        return kind.model_validate(request.json or {})
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False)]
        raise Refused(json_response({"error": "; ".join(problems)}, 400)) from error


class World:
    """Owns the simulators, their servers and the steady traffic; as a context manager it serves them all.

    The demo agents are invoice-summary (an n8n workflow), support-bot and refund-desk (both behind the gateway).
    """

    def __init__(
        self,
        clock: Clock,
        *,
        ports: Ports,
        receiver_url: str,
        support_bot_token: str,
        refund_desk_token: str,
        support_bot_env: Path,
        caller_timeout_s: float = 6.0,
        traffic_interval_s: float = INTERVAL_S,
    ) -> None:
        self._ports = ports
        self._exit = ExitStack()
        self.n8n = N8nSimulator(clock)
        self.llm = LlmSimulator(clock)
        self.cloudflare = CloudflareSimulator(clock, ACCOUNT, gateway=GATEWAY, llm_url=f"http://127.0.0.1:{ports.llm}")
        self.jira = JiraSimulator(clock)
        self.slack = SlackSimulator(clock)
        self._bot_handoffs = HandoffClient(receiver_url, agent="support-bot", token=support_bot_token)
        self._desk_handoffs = HandoffClient(receiver_url, agent="refund-desk", token=refund_desk_token)
        proxy = f"http://127.0.0.1:{ports.cloudflare}/v1/{ACCOUNT}/{GATEWAY}"
        self.support_bot = SupportBot(
            proxy, handoffs=self._bot_handoffs, env_file=support_bot_env, timeout_s=caller_timeout_s
        )
        self.agents = Agents(clock, self.n8n, self.cloudflare)
        self.agents.add_n8n("invoice-summary", "Invoice summary", confidence=True)
        self.agents.add_gateway("support-bot", enabled=lambda: self.support_bot.enabled)
        self.agents.add_gateway("refund-desk", report=self._report_confidence)
        self.traffic = SteadyTraffic(
            self.agents, model_is_faulty=lambda: self.llm.faults.active is not None, interval_s=traffic_interval_s
        )
        self._faults = {name: getattr(self, name).faults for name in ("n8n", "cloudflare", "llm", "jira", "slack")}
        self._router = self._routes()

    def _report_confidence(self, confidence: float) -> str | None:
        task = "Decide on a refund"
        return self._desk_handoffs.post(task=task, reason="low_confidence", confidence=confidence, prompt=task)

    def __enter__(self) -> World:
        for app, port in (
            (self.llm, self._ports.llm),
            (self.cloudflare, self._ports.cloudflare),
            (self.n8n, self._ports.n8n),
            (self.jira, self._ports.jira),
            (self.slack, self._ports.slack),
            (self, self._ports.control),
        ):
            try:
                self._exit.enter_context(serve(app, port, host=self._ports.host))
            except OSError:
                self.close()
                raise
        self.traffic.start()
        self._exit.callback(self.traffic.close)
        # Runs first: whatever a fault holds back is let go before anything is waited for.
        self._exit.callback(self._clear_faults)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the traffic, then the servers."""
        self._exit.close()
        for client in (self.support_bot, self._bot_handoffs, self._desk_handoffs, self.cloudflare):
            client.close()

    def _clear_faults(self) -> None:
        for faults in self._faults.values():
            faults.clear()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The control API."""
        return answer(self._handle, environ, start_response)

    def _handle(self, request: Request) -> Response:
        try:
            return self._router(request)
        except UnknownAgent as unknown:
            return json_response({"error": f"there is no agent {unknown}"}, 404)
        except SwitchedOff as off:
            return json_response({"error": f"{off} is switched off"}, 409)
        except AgentExists as double:
            return json_response({"error": f"there is an agent {double} already"}, 409)
        except NotPossible as error:
            return json_response({"error": str(error)}, 400)

    def _routes(self) -> Router:
        router = Router(json_response({"error": "not found"}, 404), json_response({"error": "wrong method"}, 405))
        routes: list[tuple[str, str, Callable[..., Response]]] = [
            ("GET", "/-/healthy", lambda _: json_response({"status": "ok"})),
            ("GET", "/state", self._state),
            ("POST", "/agents", self._add_agent),
            ("DELETE", "/agents/{name}", lambda _, name: json_response({"removed": self.agents.remove(name)})),
            ("POST", "/calls", self._calls),
            ("POST", "/faults", self._set_fault),
            ("DELETE", "/faults", self._delete_faults),
            ("POST", "/traffic", self._switch_traffic),
            ("POST", "/ask", self._ask),
            ("GET", "/slack/messages", lambda _: json_response(list(self.slack.messages))),
            ("GET", "/jira/issues", self._issues),
        ]
        for method, path, handler in routes:
            router.add(method, path, handler)
        return router

    def _state(self, _: Request) -> Response:
        traffic = {"on": self.traffic.on, "calls": self.traffic.calls, "failures": self.traffic.failures}
        faults = {name: one.active for name, one in self._faults.items()}
        return json_response({"agents": self.agents.listed(), "faults": faults, "traffic": traffic})

    def _add_agent(self, request: Request) -> Response:
        order = _order(request, _AgentOrder)
        shown: dict[str, Any] = {"name": order.name, "kind": order.kind}
        if order.kind == "n8n":
            name = order.workflow_name or order.name
            shown["workflow_id"] = self.agents.add_n8n(order.name, name, confidence=order.confidence)
        else:
            self.agents.add_gateway(order.name)
        return json_response(shown, 201)

    def _calls(self, request: Request) -> Response:
        order = _order(request, _CallOrder)
        call = Call(order.duration_s, order.outcome, order.tokens_in, order.tokens_out, order.confidence)
        ids = self.agents.calls(order.agent, call, count=order.count, spacing_s=order.spacing_s)
        return json_response({"calls": len(ids), "ids": ids}, 201)

    def _set_fault(self, request: Request) -> Response:
        order = _order(request, _FaultOrder)
        try:
            self._faults[order.target].set(order.kind, order.count, seconds=order.seconds)
        except ValueError as error:
            raise Refused(json_response({"error": str(error)}, 400)) from error
        _log.info("fault_set", target=order.target, kind=order.kind, count=order.count)
        return json_response(order.model_dump(), 201)

    def _delete_faults(self, _: Request) -> Response:
        self._clear_faults()
        return json_response({"cleared": True})

    def _switch_traffic(self, request: Request) -> Response:
        self.traffic.on = _order(request, _TrafficOrder).on
        return json_response({"on": self.traffic.on})

    def _ask(self, request: Request) -> Response:
        order = _order(request, _AskOrder)
        if order.agent != self.support_bot.name:
            raise UnknownAgent(f"{order.agent} that customers can ask")
        answers = [asdict(self.support_bot.ask(order.question)) for _ in range(order.count)]
        return json_response({"answers": answers})

    def _issues(self, _: Request) -> Response:
        shown = [
            {
                "key": issue.key,
                "summary": issue.summary,
                "status": issue.status,
                "labels": issue.labels,
                "description": plain_text(issue.description),
                "comments": [plain_text(comment["body"]) for comment in issue.comments],
                "links": {link.get("globalId", ""): link["object"]["url"] for link in issue.remote_links},
            }
            for issue in list(self.jira.issues)
        ]
        return json_response(shown)


def run(
    ports: Ports, *, receiver_url: str, support_bot_token: str, refund_desk_token: str, support_bot_env: Path
) -> None:
    """Serve the world until SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    world = World(
        SystemClock(),
        ports=ports,
        receiver_url=receiver_url,
        support_bot_token=support_bot_token,
        refund_desk_token=refund_desk_token,
        support_bot_env=support_bot_env,
    )
    with world:
        _log.info("world_ready", control=ports.control)
        stop.wait()
    _log.info("world_stopped")

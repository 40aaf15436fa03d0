"""The whole line in containers, as the tests see it: what is asked of it, and what comes out."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from drill.probes import Addresses, ProbeFailed, Probes
from handrail.http import build_client
from handrail.ports import Ports
from handrail.settings import load
from stack import docker, mounts, simulated
from stack.docker import Compose, Container
from stack.runtime import Chosen, recall

ROOT = Path(__file__).resolve().parents[2]
ALERT = "AgentSlowCallStreak"
OURS = ("exporter", "receiver", "prometheus", "alertmanager")
_LOOK_S = 0.3


def no_history(_: Path) -> None:
    """These tests plant none."""


@dataclass(frozen=True, slots=True)
class Incident:
    """An agent of its own that was slow three times: exactly one ticket is to come of it, and three calls."""

    agent: str
    calls: int = 3


class Line:
    """The stack that `make up` has started in containers for the simulated world."""

    def __init__(self, state: Path, offset: int, say: Callable[[str], None]) -> None:
        self.state = state
        self.offset = offset
        self.say = say
        self._client = build_client(timeout_s=10)
        self._pause = threading.Event()

    def command(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """One of ours, as a person runs it. Natively it finds the programs that are in the stand-ins as well."""
        programs = ROOT / ".handrail" / "bin-3" / "usr" / "bin"
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def up(self, *more: str) -> subprocess.CompletedProcess[str]:
        """`make up`."""
        world = ("--simulated", "--port-offset", str(self.offset), "--state", str(self.state))
        return self.command("stack", "up", *world, *more, timeout_s=1200)

    def down(self) -> subprocess.CompletedProcess[str]:
        """`make down`."""
        return self.command("stack", "down", "--state", str(self.state))

    def close(self) -> None:
        """Nothing more is asked of it."""
        self._client.close()

    def status(self) -> subprocess.CompletedProcess[str]:
        """`make status`."""
        return self.command("stack", "status", "--state", str(self.state))

    @property
    def chosen(self) -> Chosen:
        """What `make up` decided."""
        found = recall(self.state)
        assert found is not None
        return found

    @property
    def compose(self) -> Compose:
        """The project that runs."""
        return Compose(self.chosen.project, mounts.env_file(self.state))

    @property
    def probes(self) -> Probes:
        """What the drill sees."""
        settings = load(simulated.config_file(self.state))
        at = Addresses(
            world=f"http://127.0.0.1:{Ports(self.offset).control}",
            prometheus=f"http://{settings.prometheus.listen}",
            alertmanager=f"http://{settings.alertmanager.listen}",
            receiver=f"http://{settings.receiver.listen}",
        )
        token = settings.receiver.operator_token.read()
        return Probes(self._client, at, operator_token=token, plant_history=no_history)

    def served(self, service: str, series: str) -> float:
        """The sum of the series that begin so, as exporter or receiver serve them, whatever Prometheus knows."""
        text = self._client.get(f"http://{self.container(service).address}/metrics").text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(series))

    def container(self, service: str) -> Container:
        """The service's container as it is now."""
        return next(one for one in self.compose.containers() if one.service == service)

    def name(self, service: str) -> str:
        """What the engine calls its container."""
        return f"{self.chosen.project}-{service}-1"

    def quicken(self) -> None:
        """Prometheus looks every second, until it is started anew by `make up`."""
        config = mounts.folder(self.state) / "rendered" / "prometheus.yml"
        text, places = re.subn(r"_interval: \w+$", "_interval: 1s", config.read_text(), flags=re.MULTILINE)
        assert places == 2
        config.write_text(text)
        pid = self.container("prometheus").pid
        assert pid is not None
        os.kill(pid, signal.SIGHUP)
        self.until(
            "Prometheus looks every second",
            lambda: (self.probes.value("sum(count_over_time(up[10s]))") or 0) > 4 * len(OURS),
        )

    def until(self, what: str, condition: Callable[[], object], *, within_s: float = 90) -> None:
        """Waits for a condition; what does not answer meanwhile is no answer."""
        began = time.monotonic()
        while True:
            with contextlib.suppress(ProbeFailed, httpx.HTTPError, docker.DockerFailed, StopIteration):
                if condition():
                    self.say(f"{what} ({time.monotonic() - began:.1f} s)")
                    return
            assert time.monotonic() - began < within_s, f"not within {within_s:.0f} s: {what}"
            self._pause.wait(_LOOK_S)

    def until_healthy(self) -> None:
        """Nothing is done for it: restart policy and health checks are what is tested."""
        expected = set(docker.services(simulated=self.chosen.simulated, without=self.chosen.without))
        self.until(
            "every container is healthy",
            lambda: {one.service for one in self.compose.containers() if one.healthy} == expected,
        )

    def agents(self, names: Sequence[str]) -> list[Incident]:
        """Agents that the exporter watches and Prometheus has seen at zero."""
        for name in names:
            self.probes.world("POST", "/agents", {"name": name, "kind": "n8n", "workflow_name": name})
        counted = "sum(count_over_time(handrail_calls_total{agent='%s'}[5m])) >= 2"
        self.until(f"{len(names)} agents are watched", lambda: all(self.probes.query(counted % name) for name in names))
        return [Incident(name) for name in names]

    def happen(self, incident: Incident) -> None:
        """The agent is slow three times in a row."""
        order = {"agent": incident.agent, "count": incident.calls, "duration_s": 6.5}
        self.probes.world("POST", "/calls", order)

    def counted(self, incident: Incident) -> bool:
        """Has the exporter all its calls, whatever Prometheus knows?"""
        return self.served("exporter", f'handrail_calls_total{{agent="{incident.agent}"') == incident.calls

    def nothing_lost(self, incidents: Sequence[Incident]) -> None:
        """Every call is counted once, every incident has its ticket and a message, and none has two."""
        for incident in incidents:
            calls = f'sum(handrail_calls_total{{agent="{incident.agent}"}})'
            self.until(
                f"{incident.agent}: ticket, calls, Slack",
                lambda one=incident, query=calls: (
                    self.tickets(one)
                    and self.probes.value(query) == one.calls
                    and self.probes.slack_message(ALERT, one.agent)
                ),
            )
            assert len(self.tickets(incident)) == 1, incident.agent

    def tickets(self, incident: Incident) -> list[str]:
        """The incident's tickets, also those that are closed: the simulated world's alerts last a minute."""
        label = f"handrail-agent-{incident.agent}"
        issues = self.probes.world("GET", "/jira/issues")
        return [issue["key"] for issue in issues if label in issue["labels"] and ALERT in issue["summary"]]

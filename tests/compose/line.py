"""The whole line in containers, as the tests see it: what is asked of it, what comes out, and how its parts break."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from drill.probes import Addresses, ProbeFailed, Probes
from handrail.http import build_client
from handrail.ports import Ports
from handrail.settings import load
from stack import docker, mounts, simulated
from stack.docker import Compose, Container
from stack.runtime import recall

ROOT = Path(__file__).resolve().parents[2]
ALERT = "AgentSlowCallStreak"
OURS = ("exporter", "receiver", "prometheus", "alertmanager")


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
        """One of ours, as a person runs it."""
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=timeout_s
        )

    def up(self, runtime: str = "docker") -> subprocess.CompletedProcess[str]:
        """`make up`."""
        world = ("--simulated", "--port-offset", str(self.offset), "--state", str(self.state))
        return self.command("stack", "up", *world, "--runtime", runtime, timeout_s=1200)

    def down(self) -> None:
        """`make down`."""
        self._client.close()
        self.command("stack", "down", "--state", str(self.state))

    @property
    def compose(self) -> Compose:
        """The project that runs."""
        chosen = recall(self.state)
        assert chosen is not None
        return Compose(chosen.project, mounts.env_file(self.state))

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

    def container(self, service: str) -> Container:
        """The service's container as it is now."""
        return next(one for one in self.compose.containers() if one.service == service)

    def until(self, what: str, condition: Callable[[], object], *, within_s: float = 90) -> None:
        """Waits for a condition; what does not answer meanwhile is no answer."""
        began = time.monotonic()
        while True:
            with contextlib.suppress(ProbeFailed, httpx.HTTPError, docker.DockerFailed, StopIteration):
                if condition():
                    self.say(f"{time.monotonic() - began:5.1f} s  {what}")
                    return
            assert time.monotonic() - began < within_s, f"not within {within_s:.0f} s: {what}"
            self._pause.wait(0.3)

    def until_healthy(self) -> None:
        """Nothing is done for it: restart policy and health checks are what is tested."""
        expected = set(docker.services(simulated=True, without=("grafana",)))
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

    def nothing_lost(self, incidents: Sequence[Incident]) -> None:
        """Every call is counted once, every incident has its ticket and a message, and none has two."""
        for incident in incidents:
            calls = f'sum(handrail_calls_total{{agent="{incident.agent}"}})'
            self.until(f"{incident.agent}: ticket", lambda one=incident: self.tickets(one))
            self.until(
                f"{incident.agent}: calls",
                lambda one=incident, query=calls: self.probes.value(query) == one.calls,
            )
            self.until(f"{incident.agent}: Slack", lambda one=incident: self.probes.slack_message(ALERT, one.agent))
            assert len(self.tickets(incident)) == 1, incident.agent

    def tickets(self, incident: Incident) -> list[str]:
        """The incident's tickets, also those that are closed: the simulated world's alerts last a minute."""
        label = f"handrail-agent-{incident.agent}"
        issues = self.probes.world("GET", "/jira/issues")
        return [issue["key"] for issue in issues if label in issue["labels"] and ALERT in issue["summary"]]

    def kill(self, *services: str) -> None:
        """kill -9 from outside, as the kernel does it when memory runs out; `docker kill` would count as a wish."""
        for service in services:
            pid = self.container(service).pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self, *services: str) -> Iterator[None]:
        """Paused: it holds its connections and answers nothing."""
        names = self._names(services)
        for name in names:
            # runc gives up on a busy process of an old cgroup now and then, and says so.
            self.until(f"{name} is frozen", lambda one=name: docker.run("pause", one), within_s=20)
        try:
            yield
        finally:
            docker.run("unpause", *names)

    @contextlib.contextmanager
    def unplugged(self, service: str) -> Iterator[None]:
        """Its end of the cable on this machine is down: packets are lost, no connection is refused."""
        pid = self.container(service).pid
        # iflink is the number of the other end.
        index = subprocess.run(
            ["nsenter", "-t", str(pid), "-m", "-n", "cat", "/sys/class/net/eth0/iflink"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        name = next(line.split()[1].split("@")[0] for line in links.splitlines() if line.startswith(f"{index}:"))
        subprocess.run(["ip", "link", "set", name, "down"], check=True)
        try:
            yield
        finally:
            subprocess.run(["ip", "link", "set", name, "up"], check=True)

    @contextlib.contextmanager
    def small(self, service: str, target: str, size: str) -> Iterator[Path]:
        """The service's volume can be filled meanwhile; its content stays, also afterwards. Its folder on this machine.

        The mount is taken away in the end, as an engine that stops unmounts what it finds below its data.
        """
        (name,) = self._names([service])
        query = f'{{{{range .Mounts}}}}{{{{if eq .Destination "{target}"}}}}{{{{.Source}}}}{{{{end}}}}{{{{end}}}}'
        folder = Path(docker.run("inspect", "--format", query, name).strip())
        kept = folder.with_name("kept")
        docker.run("stop", name, timeout_s=30)
        shutil.copytree(folder, kept)
        options = f"size={size},mode=0700,uid=10001,gid=10001"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
        subprocess.run(["cp", "-a", f"{kept}/.", f"{folder}/"], check=True)
        subprocess.run(["chown", "-R", "10001:10001", str(folder)], check=True)
        docker.run("start", name, timeout_s=30)
        try:
            yield folder
        finally:
            docker.run("stop", name, timeout_s=30)
            shutil.rmtree(kept)
            subprocess.run(["cp", "-a", str(folder), str(kept)], check=True)
            subprocess.run(["umount", str(folder)], check=True)
            subprocess.run(["rm", "-rf", str(folder)], check=True)
            kept.rename(folder)
            docker.run("start", name, timeout_s=30)

    def pass_time(self, seconds: float) -> None:
        """A fault lasts this long."""
        self._pause.wait(seconds)

    def _names(self, services: Sequence[str]) -> list[str]:
        chosen = recall(self.state)
        assert chosen is not None
        return [f"{chosen.project}-{service}-1" for service in services]

"""What is to run: one value per part, worked out from the settings without touching anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from handrail.ports import Ports
from handrail.quantities import format_duration
from handrail.settings import Settings


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack: how it is started, where it listens, and which path says that it works."""

    name: str
    command: tuple[str, ...]
    address: str
    health_path: str
    setting: str
    more_addresses: tuple[str, ...] = ()
    scheme: str = "http"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every host:port that must be free before the part starts."""
        return (self.address, *self.more_addresses)

    @property
    def url(self) -> str:
        """Where a program on this machine reaches the part."""
        return f"{self.scheme}://{reachable(self.address)}"

    @property
    def health_url(self) -> str:
        """Answers 200 when the part works."""
        return self.url + self.health_path


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a supervisor needs. Two plans with the same digest would run the same stack."""

    parts: tuple[Part, ...]
    digest: str
    config: str
    simulated: bool

    def to_json(self) -> str:
        """The plan as the text that `from_json` reads."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan written by `to_json`."""
        data = json.loads(text)
        return cls(
            parts=tuple(_part(part) for part in data["parts"]),
            digest=data["digest"],
            config=data["config"],
            simulated=data["simulated"],
        )


def _part(data: Mapping[str, object]) -> Part:
    lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
    return Part(**{**data, **lists})  # type: ignore[arg-type]


def reachable(address: str) -> str:
    """The address a client uses: one that listens on every interface is reached over loopback."""
    host, _, port = address.rpartition(":")
    return f"127.0.0.1:{port}" if host in {"0.0.0.0", "*"} else address  # noqa: S104 - recognised, not bound


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the stack keeps things. What belongs to the simulated world never lies beside what is the team's."""

    state: Path
    simulated: bool

    @property
    def rendered(self) -> Path:
        """The configurations that Prometheus and Alertmanager read."""
        return self.state / "rendered"

    @property
    def prometheus(self) -> Path:
        """Prometheus' storage."""
        return self._data / "prometheus"

    @property
    def alertmanager(self) -> Path:
        """Alertmanager's silences and what it has sent."""
        return self._data / "alertmanager"

    @property
    def _data(self) -> Path:
        return self.state if self.simulated else self.state / "real"


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs the parts are run with."""

    python: Path
    prometheus: Path
    alertmanager: Path


def parts(
    settings: Settings, *, config: Path, folders: Folders, programs: Programs, ports: Ports | None
) -> tuple[Part, ...]:
    """The parts in the order in which they start; with `ports`, the simulated world is one of them."""
    world = [_world(config, programs, ports)] if ports is not None else []
    return (
        *world,
        _of_ours("exporter", settings.exporter.listen, config, programs),
        replace(
            _of_ours("receiver", settings.receiver.listen, config, programs),
            scheme="https" if settings.receiver.tls else "http",
        ),
        _prometheus(settings, folders, programs),
        _alertmanager(settings, folders, programs),
    )


def _world(config: Path, programs: Programs, ports: Ports) -> Part:
    simulators = (ports.n8n, ports.cloudflare, ports.llm, ports.jira, ports.slack)
    command = ("-m", "cli", "world", "--config", str(config), "--port-offset", str(ports.offset))
    return Part(
        name="world",
        command=(str(programs.python), *command),
        address=f"127.0.0.1:{ports.control}",
        health_path="/-/healthy",
        setting="PORT_OFFSET",
        more_addresses=tuple(f"127.0.0.1:{port}" for port in simulators),
    )


def _of_ours(name: str, listen: str, config: Path, programs: Programs) -> Part:
    command = (str(programs.python), "-m", "cli", name, "--config", str(config))
    return Part(name=name, command=command, address=listen, health_path="/-/healthy", setting=f"{name}.listen")


def _prometheus(settings: Settings, folders: Folders, programs: Programs) -> Part:
    listen = settings.prometheus.listen
    command = [
        str(programs.prometheus),
        f"--config.file={folders.rendered / 'prometheus.yml'}",
        f"--storage.tsdb.path={folders.prometheus}",
        f"--storage.tsdb.retention.time={format_duration(settings.prometheus.retention)}",
        f"--web.listen-address={listen}",
    ]
    if folders.simulated:  # the drill deletes the history it planted; nobody else needs that power
        command.append("--web.enable-admin-api")
    return Part("prometheus", tuple(command), listen, "/-/ready", "prometheus.listen")


def _alertmanager(settings: Settings, folders: Folders, programs: Programs) -> Part:
    listen = settings.alertmanager.listen
    command = (
        str(programs.alertmanager),
        f"--config.file={folders.rendered / 'alertmanager.yml'}",
        f"--storage.path={folders.alertmanager}",
        f"--web.listen-address={listen}",
        f"--web.external-url=http://{reachable(listen)}",
        "--cluster.listen-address=",  # one Alertmanager; it would open a port to find others
    )
    return Part("alertmanager", command, listen, "/-/ready", "alertmanager.listen")

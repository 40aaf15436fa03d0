"""The same configuration for containers: hosts have the names of services, secrets and data lie where they are mounted.

Nothing here touches a file or an engine. Rules, routes and everything else are rendered from it as natively.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handrail.ports import Ports
from handrail.quantities import format_duration
from handrail.secret import Secret
from handrail.settings import Settings
from stack.plan import reachable

SECRETS = "/run/secrets"
# Inside its container every part has the port that it has by default; outside, the one the file says.
LISTEN = {"exporter": 9095, "receiver": 9096, "prometheus": 9090, "alertmanager": 9093}
GRAFANA_PORT = 3000
_INSIDE = Ports()
# In each one's volume. A database that is a service of its own is the same one from a container.
_FILES = {"receiver": "receiver.sqlite", "exporter": "ledger.sqlite"}
_OWN_TOKENS = ("webhook_token", "operator_token", "handoff_token")
_LOOPBACK = re.compile(r"^(?:[a-z0-9+]+://)?(?:[^/@]*@)?(?:127(?:\.\d+){3}|localhost|\[::1\])(?=[:/]|$)")
# What is meant for this machine's browsers, and where parts listen: neither is reached from a container.
_NOT_REACHED = re.compile(r"^receiver\.public_url$|\.listen$")


def obstacles(document: object, *, path: str = "") -> Iterator[str]:
    """Why a team's file cannot hold in containers: what it names of this machine that they cannot reach."""
    if isinstance(document, Mapping):
        if path == "receiver" and "tls" in document and _LOOPBACK.match(str(document.get("public_url"))):
            yield "receiver.public_url is on this machine's loopback, where the exporter's container cannot hand over"
        for key, value in document.items():
            yield from obstacles(value, path=f"{path}.{key}" if path else str(key))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from obstacles(value, path=f"{path}[{number}]")
    elif isinstance(document, str):
        yield from _obstacle(path, document)


def _obstacle(path: str, value: str) -> Iterator[str]:
    if path.endswith("kill_switch.env_file"):
        yield f"{path} is a file of this machine, which the receiver's container cannot write"
    elif _LOOPBACK.match(value) and not _NOT_REACHED.search(path):
        yield f"{path} is on this machine's loopback, which in a container is the container's own"


@dataclass(frozen=True, slots=True)
class Inside:
    """A configuration as the containers read it, with where each secret below /run/secrets comes from."""

    document: Mapping[str, Any]
    secrets: Mapping[str, Secret]
    world: Ports | None

    def value(self, name: str) -> str:
        """What is written into the secret's file. One that is an address of the simulated world changes with it."""
        return _moved(self.secrets[name].read(), self.world)


def inside(document: Mapping[str, Any], settings: Settings, *, world: Ports | None) -> Inside:
    """The team's document, or that of the simulated world, which are `settings`, as it holds inside the containers."""
    secrets: dict[str, Secret] = {}
    own = {name: getattr(settings.receiver, name) for name in _OWN_TOKENS}
    changed = _changed(document, "", secrets, world)
    for name, secret in own.items():
        secrets.setdefault(f"receiver.{name}", secret)
    receiver = changed.get("receiver", {}) | {f"{name}_file": f"{SECRETS}/receiver.{name}" for name in _OWN_TOKENS}
    changed |= {"receiver": receiver, "exporter": changed.get("exporter", {})}
    for name, file in _FILES.items():
        if getattr(settings, name).database_url.startswith("sqlite:"):
            changed[name] |= {"database_url": f"sqlite:////data/{file}"}
    for name, port in LISTEN.items():
        changed[name] = changed.get(name, {}) | {"listen": f"{name}:{port}"}
    return Inside(changed, secrets, world)


def _changed(value: Any, path: str, secrets: dict[str, Secret], world: Ports | None) -> Any:
    if isinstance(value, Mapping):
        return dict(_entry(str(key), inner, path, secrets, world) for key, inner in value.items())
    if isinstance(value, list):
        return [_changed(inner, f"{path}.{number}", secrets, world) for number, inner in enumerate(value)]
    return _moved(value, world) if isinstance(value, str) and not path.endswith("public_url") else value


def _entry(key: str, value: Any, path: str, secrets: dict[str, Secret], world: Ports | None) -> tuple[str, Any]:
    where = f"{path}.{key}".lstrip(".")
    if key == "env_file":
        return key, f"/switches/{Path(str(value)).name}"
    name, _, kind = where.rpartition("_")
    if isinstance(value, str) and kind in {"file", "env"}:
        name = re.sub(r"[^\w.-]", "_", name)
        secrets[name] = Secret(file=Path(value)) if kind == "file" else Secret(env=value)
        return f"{key.rpartition('_')[0]}_file", f"{SECRETS}/{name}"
    return key, _changed(value, where, secrets, world)


def _moved(value: str, world: Ports | None) -> str:
    """Addresses of the simulated world, which inside has its usual ports whatever they are outside."""
    if world is None:
        return value
    for name in ("n8n", "cloudflare", "llm", "jira", "slack"):
        address = f"http://127.0.0.1:{getattr(world, name)}"
        if value == address or value.startswith(f"{address}/"):
            return f"http://world:{getattr(_INSIDE, name)}{value.removeprefix(address)}"
    return value


def environment(
    settings: Settings, *, state: Path, digest: str, version: str, world: Ports | None, grafana: str | None
) -> dict[str, str]:
    """What docker-compose.yml leaves open. `grafana` is where it listens, None where its image is not to be had."""
    found = {
        "HANDRAIL_STATE": str(state),
        "HANDRAIL_DIGEST": digest,
        "HANDRAIL_VERSION": version,
        "HANDRAIL_RETENTION": format_duration(settings.prometheus.retention),
        "HANDRAIL_ADMIN_API": "no-" if world is None else "",
        "HANDRAIL_EXPORTER_LISTEN": _published(settings.exporter.listen),
        "HANDRAIL_RECEIVER_LISTEN": _published(settings.receiver.listen),
        "HANDRAIL_RECEIVER_SCHEME": "https" if settings.receiver.tls else "http",
        "HANDRAIL_PROMETHEUS_LISTEN": _published(settings.prometheus.listen),
        "HANDRAIL_ALERTMANAGER_LISTEN": _published(settings.alertmanager.listen),
        "HANDRAIL_ALERTMANAGER_REACHED": reachable(settings.alertmanager.listen),
    }
    if grafana is not None:
        found["HANDRAIL_GRAFANA_LISTEN"] = grafana
    if world is not None:
        found["COMPOSE_PROFILES"] = "simulated"
        for number, port in enumerate((world.control, world.n8n, world.cloudflare, world.llm, world.jira, world.slack)):
            found[f"HANDRAIL_WORLD_PORT_{number}"] = str(port)
    return found


def _published(listen: str) -> str:
    """Docker wants an address, not a name."""
    host, _, port = listen.rpartition(":")
    return f"{ {'localhost': '127.0.0.1', '*': '0.0.0.0'}.get(host, host) }:{port}"  # noqa: S104 - as the file says

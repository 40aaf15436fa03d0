"""Starts, stops and looks at the whole stack in containers, as stack.native does with processes of this machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from handrail import __version__
from handrail.clock import Clock
from handrail.ports import Ports
from handrail.settings import Settings
from stack import docker, mounts, native, status
from stack.containers import GRAFANA_PORT, environment, obstacles
from stack.docker import Compose, Container, DockerFailed, Say
from stack.plan import Folders, Part, Plan, Programs, parts
from stack.runtime import Chosen, recall, remember

IMAGE = f"handrail:{__version__}"
_HISTORY_S = 180


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be watched: the team's file, or the simulated world on its ports."""

    settings: Settings
    config: Path
    state: Path
    ports: Ports | None

    @property
    def project(self) -> str:
        """The name of the containers' project: the folder's, as with any other; the simulated world has its own."""
        name = re.sub(r"[^a-z0-9_-]", "", self.state.parent.name.lower()).lstrip("_-") or "handrail"
        return name if self.ports is None else f"{name}-simulated"

    @property
    def measured_natively(self) -> bool:
        """Has the team's own stack run without containers, so that what it knows lies in files here?"""
        urls = (self.settings.receiver.database_url, self.settings.exporter.database_url)
        files = [Path(url.removeprefix("sqlite:///")) for url in urls if url.startswith("sqlite:///")]
        return self.ports is None and any(file.exists() for file in files)


def why_not(wanted: Wanted, *, say: Say) -> str | None:
    """Why this cannot run in containers here; None if it can, and then every image is on this machine."""
    if reason := docker.why_no_engine():
        return reason
    if wanted.ports is None:
        found = list(obstacles(yaml.safe_load(wanted.config.read_text(encoding="utf-8"))))
        if found:
            return "; ".join(found)
    try:
        for service, image in docker.services(simulated=wanted.ports is not None).items():
            if image is not None and service != "grafana":
                docker.fetch(image, say=say)
        docker.build(IMAGE)
    except DockerFailed as error:
        return f"not all images are to be had ({error})"
    return None


def _without(say: Say) -> tuple[str, ...]:
    image = docker.services(simulated=False)["grafana"]
    try:
        docker.fetch(str(image), say=say)
    except DockerFailed as error:
        say(f"Without Grafana, whose image is not to be had ({error}).")
        return ("grafana",)
    return ()


def up(wanted: Wanted, *, clock: Clock, say: Say) -> bool:
    """Everything runs in containers and is healthy; False if it did already. The images are there: see `why_not`."""
    state = wanted.state
    native.make_tokens(wanted.settings, state)
    without = _without(say)
    grafana = None if without else f"127.0.0.1:{GRAFANA_PORT + (wanted.ports.offset if wanted.ports else 0)}"
    digest = _written(wanted, grafana)
    compose = Compose(wanted.project, mounts.env_file(state))
    running = compose.containers()
    if grafana is not None:
        _make_password(state, say)
    if running and all(one.healthy and one.configuration == digest for one in running):
        return False
    if not running:
        plan = _plan(wanted, grafana)
        native.check_ports(plan, ours={*native.ports_in_use(state), *_ports_in_use(state)})
    native.stop(state, clock=clock)
    stop_other(state, project=wanted.project)
    if wanted.ports is not None:
        compose.down(forget=True)  # it begins anew
    remember(state, Chosen("docker", wanted.project, wanted.ports is not None, without))
    compose.up(list(docker.services(simulated=wanted.ports is not None, without=without)))
    return True


def _written(wanted: Wanted, grafana: str | None) -> str:
    mounted = mounts.write(wanted.settings, wanted.config, wanted.state, world=wanted.ports)
    mounts.n8n_key(wanted.state)

    def values(digest: str) -> dict[str, str]:
        found = environment(
            wanted.settings, state=wanted.state, digest=digest, version=__version__, world=wanted.ports, grafana=grafana
        )
        return {**found, "COMPOSE_PROJECT_NAME": wanted.project}

    image = docker.run("image", "inspect", "--format", "{{.Id}}", IMAGE)
    all_of_it = f"{mounted}{image}{sorted(values('').items())}{docker.COMPOSE_FILE.read_text(encoding='utf-8')}"
    digest = hashlib.sha256(all_of_it.encode()).hexdigest()[:16]
    mounts.write_environment(wanted.state, values(digest))
    return digest


def _plan(wanted: Wanted, grafana: str | None) -> Plan:
    nowhere = Path()
    planned = parts(
        wanted.settings,
        config=wanted.config,
        folders=Folders(wanted.state, simulated=wanted.ports is not None),
        programs=Programs(nowhere, nowhere, nowhere),
        ports=wanted.ports,
    )
    more = (Part("grafana", (), grafana, "/api/health", "HANDRAIL_GRAFANA_LISTEN"),) if grafana else ()
    return Plan((*planned, *more), digest="", config=str(wanted.config), simulated=wanted.ports is not None)


def _ports_in_use(state: Path) -> Iterator[str]:
    """Those of the project that runs now, which is stopped before the other starts."""
    if (chosen := recall(state)) is not None and chosen.runtime == "docker":
        yield from (address for one in containers(state, chosen) for address in one.addresses)


def _make_password(state: Path, say: Say) -> None:
    if (password := mounts.grafana_password(state)) is not None:
        say(f"Grafana's user is admin, its password {password}")
        say(f"It is shown this once, and kept in {state / 'secrets' / 'grafana_admin_password'}.")


def grafana_url(state: Path) -> str | None:
    """Where Grafana is reached; None where it does not run."""
    chosen = recall(state)
    if chosen is None or chosen.runtime != "docker" or "grafana" in chosen.without:
        return None
    found = next((one for one in containers(state, chosen) if one.service == "grafana"), None)
    return found.url if found else None


def stop_other(state: Path, *, project: str | None) -> bool:
    """Ends the containers that run, unless they are of `project`; False when there were none."""
    chosen = recall(state)
    if chosen is None or chosen.runtime != "docker" or chosen.project == project:
        return False
    found = bool(containers(state, chosen))
    if found:
        Compose(chosen.project, mounts.env_file(state)).down(forget=chosen.simulated)
    return found


def containers(state: Path, chosen: Chosen) -> list[Container]:
    """The containers of what was chosen last; DockerFailed when the engine does not say."""
    return Compose(chosen.project, mounts.env_file(state)).containers()


def rows(state: Path, chosen: Chosen, *, clock: Clock) -> list[status.Row]:
    """Every part as the engine sees it; none when nothing was started or all was ended."""
    found = {one.service: _row(one, clock) for one in containers(state, chosen)}
    if not found:
        return []
    wanted = docker.services(simulated=chosen.simulated, without=chosen.without)
    gone = status.Row("", "removed", healthy=False, pid=None, uptime=None, restarts=0, last_exit=None, url="-")
    missing = [name for name in wanted if name not in found]
    return [*found.values(), *(replace(gone, name=name) for name in missing)]


def _row(one: Container, clock: Clock) -> status.Row:
    running = one.status == "running"
    return status.Row(
        name=one.service,
        status=one.status,
        healthy=one.healthy,
        pid=one.pid,
        uptime=clock.now() - _moment(one.started_at) if running else None,
        restarts=one.restarts,
        last_exit=None if running else f"exit code {one.exit_code}",
        url=one.url or "-",
    )


def _moment(text: str) -> datetime:
    """Docker writes nanoseconds, which Python 3.11 does not read."""
    seconds, _, rest = text.partition(".")
    return datetime.fromisoformat(f"{seconds}+00:00") + timedelta(seconds=float(f"0.{rest.rstrip('Z') or 0}"))


def log_lines(state: Path, chosen: Chosen, service: str, lines: int) -> Sequence[str]:
    """The end of what a part wrote."""
    return Compose(chosen.project, mounts.env_file(state)).logs(service, lines)


def plant_history(state: Path, chosen: Chosen, openmetrics: Path) -> None:
    """Write what this file holds into Prometheus' past, with the promtool of its own container; DockerFailed if not."""
    # promtool maps the file into memory, which a pipe is not.
    script = (
        "cat >/prometheus/past.om && promtool tsdb create-blocks-from openmetrics /prometheus/past.om /prometheus; "
        "code=$?; rm -f /prometheus/past.om; exit $code"
    )
    compose = Compose(chosen.project, mounts.env_file(state))
    compose.feed("prometheus", script, openmetrics.read_bytes(), timeout_s=_HISTORY_S)

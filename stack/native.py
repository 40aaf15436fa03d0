"""Starts and stops the whole stack as processes of this machine; after `stop` none of them is left."""

from __future__ import annotations

import errno
import hashlib
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from alerting.render import SecretFiles, render
from handrail.clock import Clock
from handrail.ports import Ports
from handrail.secret import Secret
from handrail.settings import Receiver, Settings
from stack import simulated, tools
from stack.files import write_atomic, write_secret
from stack.plan import Folders, Part, Plan, Programs, parts
from stack.processes import end, wait_gone
from stack.state import STOPPED, StackState, read, save, state_file
from stack.supervisor import log_file

_PACKAGES = ("handrail", "exporter", "alerting", "drill", "stack", "cli")
# The supervisor gives the parts 10 s to end; it is given a little longer to say that they did.
_STOP_S = 15.0
_PART_GRACE_S = 10.0


class PortsTaken(Exception):
    """Another program listens where a part should; the text says which port, which part, and how to move it."""


def make_plan(settings: Settings, *, config: Path, state: Path, ports: Ports | None, say: tools.Say) -> Plan:
    """What to run for these settings, the simulated world too if it has `ports`; fetches tools that are missing."""
    tools.install(state, say=say)
    programs = Programs(
        python=Path(sys.executable),
        prometheus=tools.find("prometheus", state=state),
        alertmanager=tools.find("alertmanager", state=state),
    )
    folders = Folders(state=state, simulated=ports is not None)
    planned = parts(settings, config=config, folders=folders, programs=programs, ports=ports)
    digest = _digest(config, planned)
    return Plan(parts=planned, digest=digest, config=str(config), simulated=ports is not None)


def write_configuration(settings: Settings, state: Path) -> None:
    """Renders what Prometheus and Alertmanager read, and makes the stack's own tokens where there are none."""
    make_tokens(settings, state)
    copies = state / "secrets" / "from-env"
    secret_files = SecretFiles.of(settings, lambda name, secret: _as_file(secret, copies / name))
    render(settings, state / "rendered", secret_files)


def make_tokens(settings: Settings, state: Path) -> None:
    """The tokens between the parts, unless the file names others; SecretError if one cannot be read."""
    for name in ("webhook_token", "operator_token", "handoff_token"):
        token: Secret = getattr(settings.receiver, name)
        # Where nothing else is said they have one place, whatever folder the stack writes to.
        ours = token == Receiver.model_fields[name].default
        if token.file is not None and (ours or token.file.resolve().is_relative_to(state / "secrets")):
            simulated.keep_or_make(token.file)
        token.read()


def _as_file(secret: Secret, copy: Path) -> Path:
    """Alertmanager reads secrets from files only; one that stands in the environment is written beside the others."""
    if secret.file is not None:
        return secret.file.resolve()
    write_secret(copy, secret.read())
    return copy


def check_ports(plan: Plan, *, ours: Collection[str] = ()) -> None:
    """PortsTaken unless every port of the plan is free or among `ours`; all that are taken are named together."""
    if taken := list(_taken(plan.parts, ours)):
        raise PortsTaken(_ports_text(taken, simulated_world=plan.simulated))


def ports_in_use(state: Path) -> frozenset[str]:
    """The addresses of the stack that runs now; free again once it is stopped."""
    if not read(state).supervised:
        return frozenset()
    try:
        running = Plan.from_json(plan_file(state).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError):
        return frozenset()
    return frozenset(address for part in running.parts for address in part.addresses)


def _taken(planned: Sequence[Part], ours: Collection[str]) -> Iterator[tuple[Part, str, str]]:
    for part in planned:
        for address in part.addresses:
            if address not in ours and (reason := _why_not_free(address)) is not None:
                yield part, address, reason


def _why_not_free(address: str) -> str | None:
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            return "taken by another program" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        except OverflowError:
            return "not a port"
    return None


def _ports_text(taken: Sequence[tuple[Part, str, str]], *, simulated_world: bool) -> str:
    lines = [f"  {address}  for {part.name}: {reason}" for part, address, reason in taken]
    if simulated_world:
        way_out = "Move every port of the simulated world together, for example:  make up PORT_OFFSET=100"
    else:
        names = dict.fromkeys(part.setting for part, _, _ in taken)
        way_out = f"Give another address in handrail.yaml: {', '.join(names)}"
    return "\n".join(["Not started: ports are not free.", *lines, way_out])


def launch(plan: Plan, state: Path) -> subprocess.Popen[bytes]:
    """Starts the supervisor of this plan, detached: it outlives the terminal and this process."""
    write_atomic(plan_file(state), plan.to_json())
    state_file(state).unlink(missing_ok=True)  # of the run before; the new supervisor writes its own
    if plan.simulated:
        simulated.forget(state)
    log = log_file(state, "supervisor")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "cli", "stack", "supervise", "--state", str(state)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def plan_file(state: Path) -> Path:
    """Where the plan is handed to the detached supervisor."""
    return state / "plan.json"


def stop(state: Path, *, clock: Clock) -> bool:
    """Ends the stack and whatever a killed supervisor left behind; False when there was nothing to end."""
    stack = read(state)
    found = stack.left_behind
    if stack.supervisor is not None and stack.supervised:
        end([stack.supervisor], clock=clock, grace_s=_STOP_S)
        stack = _merge(stack, read(state))
    # Children of a supervisor that was killed are told to end by the kernel; they are waited for, then made to.
    if not wait_gone(stack.left_behind, clock=clock, timeout_s=0.5):
        end(stack.left_behind, clock=clock, grace_s=_PART_GRACE_S)
    if found or stack.supervisor is not None:
        _mark_stopped(state)
    return bool(found)


def _merge(before: StackState, after: StackState) -> StackState:
    """Parts that were restarted while the supervisor was told to stop are known only to one of the two."""
    return StackState(supervisor=after.supervisor, parts=(*before.parts, *after.parts))


def _mark_stopped(state: Path) -> None:
    stack = read(state)
    stopped = tuple(part.changed(status=STOPPED, identity=None) for part in stack.parts)
    save(
        state,
        StackState(
            digest=stack.digest,
            config=stack.config,
            simulated=stack.simulated,
            started_at=stack.started_at,
            parts=stopped,
        ),
    )


def _digest(config: Path, planned: Sequence[Part]) -> str:
    """Changes with the configuration, the commands and our own code, so that `up` after an update restarts."""
    seen = hashlib.sha256(config.read_bytes())
    seen.update(repr(planned).encode())
    root = Path(__file__).resolve().parents[1]
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                seen.update(str(path.relative_to(root)).encode())
                seen.update(path.read_bytes())
    return seen.hexdigest()

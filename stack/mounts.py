"""Writes what the containers mount below `.handrail/docker`: configuration, secrets, docker-compose's environment.

Secrets there may be read by anyone who can reach them, as the containers run as other users; nobody else on this
machine can, because the folder itself is its owner's alone.
"""

from __future__ import annotations

import hashlib
import os
import secrets as random_secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from alerting.render import SecretFiles, render
from handrail.ports import Ports
from handrail.secret import Secret
from handrail.settings import Settings, parse
from stack.containers import inside
from stack.files import write_atomic, write_secret

_READABLE = 0o444
# What the receiver is checked by and what it is shown, where it speaks TLS.
_SHOWN = tuple(f"receiver.tls.{name}" for name in ("ca", "client_cert", "client_key"))


def folder(state: Path) -> Path:
    """Everything that is mounted, and the environment file."""
    return state / "docker"


def env_file(state: Path) -> Path:
    """What docker-compose.yml leaves open."""
    return folder(state) / "compose.env"


def write(settings: Settings, config: Path, state: Path, *, world: Ports | None) -> str:
    """Writes all that is mounted. The digest of what needs a restart; secrets do not, they are read when used."""
    target = folder(state)
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    target.chmod(0o700)
    made = inside(yaml.safe_load(config.read_text(encoding="utf-8")), settings, world=world)
    text = yaml.safe_dump(dict(made.document), sort_keys=False, allow_unicode=True, width=120)
    held = parse(text)
    write_atomic(target / "etc" / "handrail.yaml", text)
    everything = {name: made.value(name) for name in made.secrets}
    _write_secrets(target / "secrets" / "handrail", everything, made.secrets)
    named: set[str] = set()

    def file(_: str, secret: Secret) -> Path:
        assert secret.file is not None  # noqa: S101 - `inside` names files only
        named.add(secret.file.name)
        return secret.file

    render(held, target / "rendered", SecretFiles.of(held, file))
    shown = {name for name in _SHOWN if name in everything}
    for part, names in (("alertmanager", named | shown), ("prometheus", shown)):
        _write_secrets(target / "secrets" / part, {name: everything[name] for name in names}, made.secrets)
    _let_read([target / "etc", target / "rendered"])
    return _digest([target / "etc", target / "rendered"])


def grafana_password(state: Path) -> str | None:
    """Makes the password of Grafana's administrator. It is returned once, when it was made; afterwards None."""
    kept = state / "secrets" / "grafana_admin_password"
    made = None
    if not kept.exists():
        made = random_secrets.token_urlsafe(18)
        write_secret(kept, made)
    _write_secrets(folder(state) / "secrets" / "grafana", {"admin_password": kept.read_text().strip()}, {})
    return made


def n8n_key(state: Path) -> None:
    """Makes the key with which n8n encrypts its credentials, for whoever starts it beside Handrail."""
    kept = state / "secrets" / "n8n_encryption_key"
    if not kept.exists():
        write_secret(kept, random_secrets.token_urlsafe(32))
    _write_secrets(folder(state) / "secrets" / "n8n", {"encryption_key": kept.read_text().strip()}, {})


def write_environment(state: Path, values: Mapping[str, str]) -> None:
    """The file that `docker compose --env-file` reads."""
    quoted = (f"{name}='{value}'" for name, value in sorted(values.items()))
    write_atomic(env_file(state), "\n".join(quoted) + "\n")


def _write_secrets(target: Path, values: Mapping[str, str], sources: Mapping[str, Secret]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    _let_read([target, target.parent])
    for path in target.iterdir():
        if path.name not in values:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, value in values.items():
        path = target / name
        if not path.exists() or path.read_text(encoding="utf-8") != value + "\n":
            write_atomic(path, value + "\n", mode=_READABLE)
        # How old a credential can be is told by its file.
        if (source := sources.get(name)) and (written := source.written_at()):
            os.utime(path, (written.timestamp(), written.timestamp()))


def _let_read(folders: list[Path]) -> None:
    """Whatever the umask of whoever starts it."""
    for path in (path for one in folders for path in (one, *one.rglob("*"))):
        path.chmod(0o755 if path.is_dir() else _READABLE if "secrets" in path.parts else 0o644)


def _digest(folders: list[Path]) -> str:
    seen = hashlib.sha256()
    for path in sorted(path for one in folders for path in one.rglob("*") if path.is_file()):
        seen.update(str(path).encode())
        seen.update(path.read_bytes())
    return seen.hexdigest()[:16]

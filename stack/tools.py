"""Finds Prometheus and Alertmanager, or unpacks them from the distribution's packages without installing anything.

Nothing outside the state folder is written, so it needs no root, and the machine's own package lists may be empty.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

# Debian's package calls it so; everyone else drops the prefix.
_DEBIAN_NAMES = {"alertmanager": "prometheus-alertmanager"}
TOOLS = ("prometheus", "promtool", "alertmanager", "amtool")

_BY_HAND = (
    "Install Prometheus and Alertmanager so that these are on the PATH: prometheus, promtool, alertmanager, amtool.\n"
    "  Debian, Ubuntu:  apt-get install prometheus prometheus-alertmanager\n"
    "  Homebrew:        brew install prometheus alertmanager"
)
_DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_UPDATE_TIMEOUT_S = 240
_DOWNLOAD_TIMEOUT_S = 600

Say = Callable[[str], None]


class ToolMissing(Exception):
    """A program is neither on the PATH nor could it be unpacked; the text says what to install."""


def find(name: str, *, state: Path, search_path: str | None = None) -> Path:
    """The program called `name`: from the PATH first, then from the state folder; ToolMissing when it is in neither."""
    for folder in (search_path, str(state / "bin" / "usr" / "bin")):
        for spelling in (name, _DEBIAN_NAMES.get(name, name)):
            if found := shutil.which(spelling, path=folder):
                return Path(found).absolute()
    raise ToolMissing(f"{name} was not found on the PATH or in {state / 'bin'}.\n{_BY_HAND}")


def missing(state: Path, *, search_path: str | None = None) -> list[str]:
    """The tools that `find` would not find."""
    return list(_missing(state, search_path))


def _missing(state: Path, search_path: str | None) -> Iterator[str]:
    for name in TOOLS:
        try:
            find(name, state=state, search_path=search_path)
        except ToolMissing:
            yield name


def install(state: Path, *, say: Say, search_path: str | None = None) -> None:
    """Unpacks the tools that are missing into `state`/bin; afterwards `find` finds all of them, or ToolMissing."""
    wanted = missing(state, search_path=search_path)
    if not wanted:
        return
    if not (shutil.which("apt-get", path=search_path) and shutil.which("dpkg-deb", path=search_path)):
        raise ToolMissing(f"{', '.join(wanted)} not found, and there is no apt-get to fetch them with.\n{_BY_HAND}")
    say(f"Fetching {', '.join(wanted)} from the distribution's packages into {state / 'bin'} (once, a few minutes) …")
    apt = _Apt(state / "apt")
    apt.update()
    if {"prometheus", "promtool"} & set(wanted):
        # Newer releases ship promtool apart; older ones inside the package prometheus.
        apt.unpack(["prometheus", *(["promtool"] if apt.has("promtool") else [])], state / "bin")
    if {"alertmanager", "amtool"} & set(wanted):
        apt.unpack(["prometheus-alertmanager"], state / "bin")
        relocate(state / "bin" / "usr" / "bin" / "prometheus-alertmanager")
    shutil.rmtree(state / "apt")  # the lists are of no use any more, and many megabytes
    if still := missing(state, search_path=search_path):
        raise ToolMissing(f"the distribution's packages hold no {', '.join(still)}.\n{_BY_HAND}")


def install_second(state: Path, *, say: Say, search_path: str | None = None) -> Path:
    """Unpacks Debian unstable's Prometheus and Alertmanager into `state`/bin-3, for tests on a second version."""
    promtool = state / "bin-3" / "usr" / "bin" / "promtool"
    if promtool.exists():
        return promtool
    if not (shutil.which("apt-get", path=search_path) and shutil.which("dpkg-deb", path=search_path)):
        raise ToolMissing("a second Prometheus can be unpacked on Debian only: there is no apt-get")
    say(f"Fetching the newer Prometheus and Alertmanager of Debian unstable into {state / 'bin-3'} …")
    unpack_newer(["prometheus", "promtool", "prometheus-alertmanager"], state / "bin-3", state=state)
    relocate(state / "bin-3" / "usr" / "bin" / "prometheus-alertmanager")
    if not promtool.exists():
        raise ToolMissing("the packages of Debian unstable hold no promtool")
    return promtool


def unpack_newer(packages: list[str], target: Path, *, state: Path) -> None:
    """Unpacks packages of Debian unstable into `target`; nothing is installed. ToolMissing elsewhere than on Debian."""
    mirror, keyring = debian_mirror(state)
    newer = _Apt(state / "apt-3", source=f"deb [signed-by={keyring}] {mirror} sid main")
    newer.update()
    newer.unpack(packages, target)
    shutil.rmtree(state / "apt-3")


def debian_mirror(state: Path) -> tuple[str, str]:
    """The address this machine gets Debian from, and the keyring it checks it with; ToolMissing where there is none."""
    own = _Apt(state / "apt")
    own.update()
    found = own.debian_mirror()
    shutil.rmtree(state / "apt")
    return found


_TEMPLATES = b"/usr/share/prometheus/alertmanager"
_RELOCATED = b"/proc/self/fd/9".ljust(len(_TEMPLATES), b"/")


def relocate(program: Path) -> None:
    """Lets Debian's Alertmanager read its templates from where it was unpacked; any other program is left as it is.

    Debian compiles an absolute path into it that only an installed package fills, and no flag changes that. So our
    copy looks below file descriptor 9, which the small script that takes its place opens on the unpacked folder.
    """
    content = program.read_bytes()
    if _TEMPLATES not in content:
        return
    moved = program.with_name(f"{program.name}.unpacked")
    moved.write_bytes(content.replace(_TEMPLATES, _RELOCATED))
    moved.chmod(0o755)
    script = (
        "#!/bin/sh\n"
        'here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd) || exit\n'
        'exec 9<"$here/../share/prometheus/alertmanager" || exit\n'
        f'exec "$here/{moved.name}" "$@"\n'
    )
    program.unlink()
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)


class _Apt:
    """apt-get with lists, cache and configuration of its own; of the machine it only reads sources and keyrings."""

    def __init__(self, folder: Path, *, source: str | None = None) -> None:
        self._folder = folder.resolve()
        self._output = ""
        self._config = self._folder / "apt.conf"
        for name in ("lists/partial", "cache/archives/partial", "packages"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        lines = [
            f'Dir::State::lists "{self._folder}/lists";',
            f'Dir::Cache "{self._folder}/cache";',
            # As root, apt would hand the download to a user who may not write into this folder.
            'APT::Sandbox::User "";',
            # The machine's hooks maintain the machine's own caches, which we neither touch nor may write to.
            "#clear APT::Update::Pre-Invoke;",
            "#clear APT::Update::Post-Invoke;",
            "#clear APT::Update::Post-Invoke-Success;",
            'Acquire::Languages "none";',
            'Acquire::Retries "2";',
        ]
        if source is not None:
            (self._folder / "sources.list").write_text(source + "\n", encoding="utf-8")
            lines += [f'Dir::Etc::sourcelist "{self._folder}/sources.list";', 'Dir::Etc::sourceparts "/dev/null";']
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def update(self) -> None:
        """Reads the package lists. One source that fails is no reason to stop: the packages may be in another."""
        self._output = self._run("apt-get", "update", timeout_s=_UPDATE_TIMEOUT_S).stderr

    def has(self, package: str) -> bool:
        """Do the sources offer this package?"""
        return self._run("apt-cache", "show", "--no-all-versions", package, timeout_s=60).returncode == 0

    def unpack(self, packages: list[str], target: Path) -> None:
        """Downloads the packages (apt checks their signatures) and unpacks them; nothing of them is run."""
        folder = self._folder / "packages"
        for old in folder.glob("*.deb"):
            old.unlink()
        done = self._run("apt-get", "download", *packages, cwd=folder, timeout_s=_DOWNLOAD_TIMEOUT_S)
        if done.returncode:
            said = (self._output + done.stderr).strip()[-600:]
            raise ToolMissing(f"apt-get could not download {' '.join(packages)}: {said}\n{_BY_HAND}")
        target.mkdir(parents=True, exist_ok=True)
        for package in sorted(folder.glob("*.deb")):
            done = self._run_plain("dpkg-deb", "-x", str(package), str(target))
            if done.returncode:
                raise ToolMissing(f"{package.name} could not be unpacked: {done.stderr.strip()[-300:]}")
            package.unlink()

    def debian_mirror(self) -> tuple[str, str]:
        """The address this machine gets Debian from, and the keyring it checks it with."""
        # apt leaves a field it has no value for as it is written here.
        fields = "$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(SIGNED_BY)"
        done = self._run("apt-get", "indextargets", "--format", fields, "Created-By: Packages", timeout_s=60)
        for line in done.stdout.splitlines():
            origin, label, address, keyring = line.split("|", 3)
            if origin == "Debian" and label == "Debian":
                return address, keyring if keyring.startswith("/") else _DEBIAN_KEYRING
        raise ToolMissing("a second Prometheus can be unpacked on Debian only: no source of this machine is Debian's")

    def _run(
        self, program: str, *arguments: str, cwd: Path | None = None, timeout_s: int
    ) -> subprocess.CompletedProcess[str]:
        return self._run_plain(program, "-c", str(self._config), "-q", *arguments, cwd=cwd, timeout_s=timeout_s)

    def _run_plain(
        self, *command: str, cwd: Path | None = None, timeout_s: int = 120
    ) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603 - a fixed program with arguments of our own
                command, cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolMissing(f"{command[0]} did not finish: {error}\n{_BY_HAND}") from error

"""A PostgreSQL for the tests: a new cluster in a temporary folder, reached over a socket, gone afterwards."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NewDatabase = Callable[[], str]


class Unavailable(Exception):
    """Why there is no PostgreSQL here."""


@contextmanager
def server() -> Iterator[NewDatabase]:
    """Makes empty databases, each call a new one, and tells their URL. Unavailable where there is no PostgreSQL."""
    try:
        import psycopg
    except ImportError as error:
        raise Unavailable("psycopg is not installed") from error
    programs = _programs()
    # In memory where there is such a folder: a test's database is thousands of small files. A socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    account = _account()
    try:
        if account:
            shutil.chown(folder, account["user"], account["group"])
        options = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE} | account
        cluster = ["-D", folder / "data"]
        made = subprocess.run([programs / "initdb", *cluster, "-A", "trust", "-N", "-U", "tests"], **options)
        if made.returncode:
            raise Unavailable(f"initdb failed: {made.stderr.decode(errors='replace')[-200:]}")
        # A crash of the whole machine is not what the tests are about, so nothing waits for the disk.
        settings = {"listen_addresses": "", "unix_socket_directories": folder, "fsync": "off", "max_connections": 40}
        arguments = [f"-c{name}={value}" for name, value in settings.items()]
        process = subprocess.Popen(
            [programs / "postgres", *cluster, *arguments], **options | {"stderr": subprocess.DEVNULL}
        )
        try:
            with _connected(psycopg, folder, process) as connection:
                yield _maker(connection, folder)
        finally:
            process.send_signal(signal.SIGQUIT)  # immediate: what it would write down is thrown away
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4].split(".")[0]))
    if found:
        return found[-1].parent
    in_path = shutil.which("initdb")
    if in_path is None:
        raise Unavailable("there is no PostgreSQL here (Debian: apt-get install postgresql)")
    return Path(in_path).resolve().parent


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise Unavailable("PostgreSQL does not run as root, and there is no other account")


def _connected(psycopg: Any, folder: Path, process: subprocess.Popen[bytes]) -> Any:
    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(host=str(folder), user="tests", dbname="postgres", autocommit=True)
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"postgres does not answer; its exit code is {process.returncode}") from error
            time.sleep(0.05)


def _maker(connection: Any, folder: Path) -> NewDatabase:
    numbers = itertools.count()

    def make() -> str:
        name = f"test_{next(numbers)}"
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return f"postgresql+psycopg://tests@/{name}?host={folder}"

    return make

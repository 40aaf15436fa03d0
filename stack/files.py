"""Files are replaced whole: a reader, or a start after a crash, sees the old content or the new, never half of it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomic(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replaces the file in one step, with these permissions from the first moment on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_secret(path: Path, value: str) -> None:
    """Puts a secret where only its owner can read it, file and folder."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(path, value + "\n", mode=0o600)


@contextmanager
def exclusive(state: Path) -> Iterator[None]:
    """Only one `up`, `down` or start of `foreground` works on a state folder; a second waits for the first."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)  # hand-offs and tickets are nobody else's to read
    with (state / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

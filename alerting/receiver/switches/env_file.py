"""AGENT_ENABLED=false in a file the agent reads, e.g. as an environment file or mounted into its container."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from alerting.receiver.switches import Work
from alerting.receiver.worker import Transient

VARIABLE = "AGENT_ENABLED"
_LINE = re.compile(rf"^\s*(?:export\s+)?{VARIABLE}\s*=\s*(?P<value>.*?)\s*$")
_OFF = {"false", "0", "no", "off"}


class EnvFile:
    """Replaces the one line in the file atomically; every other line stays as it is."""

    def __init__(self, path: Path, *, activity: Callable[[], str], settle_s: float) -> None:
        self._path = path
        self._activity = activity
        self.settle_s = settle_s

    def remember(self) -> str | None:
        """Nothing: the file has no versions."""
        return None

    def disable(self) -> None:
        """Write AGENT_ENABLED=false."""
        self._write("false")

    def enable(self, previous: str | None) -> None:
        """Write AGENT_ENABLED=true."""
        self._write("true")

    def enabled(self) -> bool:
        """What the file says; an agent whose file does not mention the variable is on."""
        values = [match["value"].strip("\"'").lower() for line in self._lines() if (match := _LINE.match(line))]
        return not (values and values[-1] in _OFF)

    def stop_work(self) -> Work:
        """Nothing can be stopped from here: the agent reads the file before its next call."""
        return Work(0, 0)

    def activity(self) -> str:
        """The number of the agent's calls, as its source counts them."""
        return self._activity()

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise Transient(f"{self._path} cannot be read ({_reason(error)})") from error

    def _write(self, value: str) -> None:
        kept = [line for line in self._lines() if not _LINE.match(line)]
        content = "\n".join([*kept, f"{VARIABLE}={value}", ""])
        try:
            self._replace(content)
        except OSError as error:
            raise Transient(f"{self._path} cannot be written ({_reason(error)}); let Handrail write there") from error

    def _replace(self, content: str) -> None:
        mode = self._path.stat().st_mode & 0o777 if self._path.exists() else 0o644
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(mode)
            Path(temporary).replace(self._path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "not UTF-8 text"

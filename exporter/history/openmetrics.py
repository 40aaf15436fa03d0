"""An OpenMetrics file, written family by family and put in its place when it is whole.

A sample is written when its value changes, with the one just before, and often enough in between that no series is
taken for stale; whatever window is asked about then, its first and its last value are there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

# Prometheus takes a series for gone 5 minutes after its last sample.
_STALE_AFTER_S = 240


@dataclass(frozen=True, slots=True)
class Kind:
    """A metric family: its name without the suffixes of its samples, its type and its help."""

    name: str
    type: str
    help: str


@dataclass(slots=True)
class _Last:
    at: int
    value: float


class OpenMetricsFile:
    """The file while it is written. `step_s` is the distance of samples; leaving without `finish` leaves no file."""

    def __init__(self, target: Path, *, step_s: int) -> None:
        self._target = target
        self._step_s = step_s
        self._folder = target.with_name(f".{target.name}.parts")
        self._parts: dict[str, TextIO] = {}
        self._last: dict[str, _Last] = {}
        self.samples = 0

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in self._parts.values():
            part.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def sample(self, kind: Kind, series: str, value: float, at: int) -> None:
        """The value of a series (name and labels) at a time in epoch seconds; times of one series go forward."""
        last = self._last.get(series)
        if last is None:
            self._last[series] = _Last(at, value)
        elif value != last.value:
            if last.at < at - self._step_s:
                self._write(kind, series, last.value, at - self._step_s)
            last.at, last.value = at, value
        elif at - last.at >= _STALE_AFTER_S:
            last.at = at
        else:
            return
        self._write(kind, series, value, at)

    def point(self, kind: Kind, series: str, value: float, at: int) -> None:
        """A sample of a series that has one seldom: nothing is said of the time in between."""
        self._write(kind, series, value, at)

    def end_of_series(self) -> None:
        """The series so far are complete and need not be remembered."""
        self._last.clear()

    def finish(self) -> None:
        """Put the parts together where the file belongs, in one step."""
        whole = self._folder / "whole"
        with whole.open("wb") as target:
            for part in self._parts.values():
                part.close()
                with Path(part.name).open("rb") as source:
                    shutil.copyfileobj(source, target)
            target.write(b"# EOF\n")
            target.flush()
            os.fsync(target.fileno())
        whole.replace(self._target)

    def _write(self, kind: Kind, series: str, value: float, at: int) -> None:
        part = self._parts.get(kind.name)
        if part is None:
            part = self._parts[kind.name] = (self._folder / str(len(self._parts))).open("w", encoding="utf-8")
            part.write(f"# HELP {kind.name} {_escaped(kind.help)}\n# TYPE {kind.name} {kind.type}\n")
        part.write(f"{series} {number(value)} {at}\n")
        self.samples += 1


def series(name: str, labels: Mapping[str, str]) -> str:
    """Name and labels as one text. A label without a value is none, as Prometheus sees it."""
    pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items() if value)
    return f"{name}{{{pairs}}}" if pairs else name


def number(value: float) -> str:
    """As short as it can be read back exactly."""
    return str(int(value)) if value == int(value) else repr(value)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

"""What `docs/alerts.md` says about an alert: the page, the command and the receiver all read this one file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

RUNBOOK = Path(__file__).resolve().parents[1] / "docs" / "alerts.md"


@dataclass(frozen=True, slots=True)
class Runbook:
    """The sections of one alert as Markdown; empty where there is none."""

    meaning: str
    impact: str
    diagnosis: str
    mitigation: str
    tuning: str


def alerts_described(file: Path = RUNBOOK) -> list[str]:
    """Every alert that has a heading, in the order of the file."""
    return re.findall(r"^## (\w+)$", file.read_text(encoding="utf-8"), re.MULTILINE)


def section_of(alertname: str, file: Path = RUNBOOK) -> str | None:
    """All that stands below the alert's heading; None when it has none."""
    return _below(f"## {alertname}", file.read_text(encoding="utf-8").splitlines())


def runbook_of(alertname: str, file: Path = RUNBOOK) -> Runbook | None:
    """The alert's sections by their headings; None when it has no heading."""
    section = section_of(alertname, file)
    if section is None:
        return None
    lines = section.splitlines()
    names = ("Meaning", "Impact", "Diagnosis", "Mitigation", "Tuning")
    return Runbook(*((_below(f"### {name}", lines) or "").strip() for name in names))


def _below(heading: str, lines: list[str]) -> str | None:
    if heading not in lines:
        return None
    level, start = heading.split(" ")[0] + " ", lines.index(heading) + 1
    end = next((i for i in range(start, len(lines)) if lines[i].startswith(level)), len(lines))
    return "\n".join(lines[start:end])

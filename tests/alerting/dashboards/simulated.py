"""A world that was simulated up to now, in the storage of the Prometheus that watched it, and its dashboards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerting.alert_rules import rules_of
from alerting.render import SecretFiles, render
from tests.alerting.conftest import find, version
from tests.alerting.dashboards.boards import Query, every_query
from tests.alerting.dashboards.past import WEEKS, simulate
from tests.alerting.dashboards.recorded import Evaluation, import_file
from tests.alerting.dashboards.world import DAY, NAMES, World, world


@dataclass(frozen=True)
class Past:
    """A world up to a moment, and the storage of the Prometheus that watched it."""

    world: World
    storage: Path
    rendered: Path
    ends: datetime

    @property
    def queries(self) -> list[Query]:
        """Of the dashboards as rendered for it."""
        return every_query(self.rendered / "dashboards")


def newest(name: str) -> Path:
    """The program of that name that has the highest version."""
    if not (found := find((name,))):
        pytest.skip(f"no {name} found: name its folder in HANDRAIL_TOOLS, or run make up once")
    return max(found, key=lambda program: [int(part) for part in re.findall(r"\d+", version(program))])


@contextmanager
def simulated(folder: Path, names: dict[str, tuple[str, ...]] = NAMES) -> Iterator[Past]:
    """Up to now."""
    programs = newest("promtool").parent
    with world(folder, datetime.now(UTC) - WEEKS - DAY, names) as made:
        settings, rules, begun = made.bench.settings, rules_of(made.bench.settings), made.clock.begun
        past = Past(made, folder / "data", folder / "rendered", begun + WEEKS + DAY)
        render(settings, past.rendered, SecretFiles.of(settings, lambda _, secret: secret.file or folder))
        asked = " ".join(query.expr for query in past.queries)
        every = [asked, *(rule.expr for rule in (*rules.records, *rules.alerts))]
        simulate(made, folder / "past.om", frozenset(re.findall(r"\bhandrail_\w+", " ".join(every))))
        import_file(programs / "promtool", folder / "past.om", past.storage)
        evaluation = Evaluation(rules, since=begun, day=begun + WEEKS, until=past.ends, asked=asked)
        evaluation.import_all(programs, past.storage, folder)
        yield past

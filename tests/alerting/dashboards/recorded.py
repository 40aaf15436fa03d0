"""What the rules would have recorded in a past that is known as it was exposed; Prometheus itself evaluates them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from alerting.alert_rules import AlertRule, RecordingRule, Rules
from exporter.history.openmetrics import Kind, OpenMetricsFile, series
from handrail.http import HttpClient, build_client, read_json
from tests.alerting.running_alertmanager import answers, free_port, until

# The day, and everything that something looks back on for longer.
DAY_STEP_S, WEEKS_STEP_S = 60, 300


@contextmanager
def running(program: Path, storage: Path, configuration: Path, port: int = 0) -> Iterator[HttpClient]:
    """A Prometheus over that storage, once it is ready."""
    url = f"http://127.0.0.1:{port or free_port()}"
    command = [
        str(program),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={storage}",
        "--storage.tsdb.retention.time=1y",
        # What fires before Alertmanager was found, after some seconds, is told again soon.
        "--rules.alert.resend-delay=1s",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    log = configuration.with_suffix(".log")
    with log.open("ab") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            with build_client(base_url=url, timeout_s=60) as client:
                until(lambda: process.poll() is not None or answers(client, ""), "Prometheus")
                assert process.poll() is None, log.read_text()[-2000:]
                yield client
        finally:
            process.terminate()


def import_file(promtool: Path, file: Path, storage: Path) -> None:
    """Blocks of an OpenMetrics file; as few as can be, because promtool reads the whole file for each."""
    command = [promtool, "tsdb", "create-blocks-from", "--max-block-duration=31d", "openmetrics", file, storage]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


class Evaluation:
    """Of rules over a time that ends at `until`; what the day has is evaluated each minute."""

    def __init__(self, rules: Rules, *, since: datetime, day: datetime, until: datetime, asked: str) -> None:
        """`asked` is every other expression that looks back on something recorded."""
        self._rules, self._since, self._day, self._until = rules, since, day, until
        self._looked_back = asked + " ".join(rule.expr for rule in (*rules.records, *rules.alerts))

    def import_all(self, programs: Path, storage: Path, folder: Path) -> None:
        """First what depends on nothing recorded, then what depends on that, and alerts at last."""
        configuration = folder / "evaluating.yml"
        configuration.write_text("{}")
        for number, rules in enumerate([*levels(self._rules.records), self._rules.alerts]):
            file = folder / f"recorded-{number}.om"
            asking = running(programs / "prometheus", storage, configuration)
            with asking as client, OpenMetricsFile(file, step_s=DAY_STEP_S) as out:
                for rule in rules:
                    self._evaluate(client, rule, out)
                out.finish()
            import_file(programs / "promtool", file, storage)

    def _evaluate(self, client: HttpClient, rule: RecordingRule | AlertRule, out: OpenMetricsFile) -> None:
        if isinstance(rule, AlertRule):
            # One that waits may not have fired; and what is only told later has no label yet.
            if rule.for_ or any("{{" in value for value in rule.labels.values()):
                return
            labels, name = {"alertname": rule.name, "alertstate": "firing", **rule.labels}, "ALERTS"
        else:
            labels, name = dict(rule.labels), rule.name
        spans = [(self._day, self._until, DAY_STEP_S)]
        if re.search(rf"{name}(\{{[^}}]*\}})?(\[| offset)", self._looked_back) and name != "ALERTS":
            spans.insert(0, (self._since, self._day - timedelta(seconds=1), WEEKS_STEP_S))
        for begin, end, step_s in spans:
            for found in _range(client, rule.expr, begin, end, step_s):
                known = {key: value for key, value in found["metric"].items() if key != "__name__"}
                for at, value in found["values"]:
                    number = 1.0 if name == "ALERTS" else float(value)
                    out.sample(Kind(name, "gauge", "As recorded."), series(name, known | labels), number, int(at))


def _range(client: HttpClient, expr: str, begin: datetime, end: datetime, step_s: int) -> Sequence[Mapping[str, Any]]:
    form = {"query": expr, "start": begin.timestamp(), "end": end.timestamp(), "step": step_s}
    found = read_json(client.post("/api/v1/query_range", data=form))
    assert found["status"] == "success", (expr, found)
    return list(found["data"]["result"])


def levels(records: Sequence[RecordingRule]) -> list[list[RecordingRule]]:
    """Each of what the ones before it record."""
    names = {rule.name for rule in records}
    needs = {rule.name: set[str]() for rule in records}
    for rule in records:
        needs[rule.name] |= {name for name in names - {rule.name} if re.search(rf"{name}(?![\w:])", rule.expr)}
    found: list[list[RecordingRule]] = []
    while needs:
        ready = {name for name, of in needs.items() if not of & set(needs)}
        assert ready, f"these record each other: {sorted(needs)}"
        found.append([rule for rule in records if rule.name in ready])
        needs = {name: of for name, of in needs.items() if name not in ready}
    return found

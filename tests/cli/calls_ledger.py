"""A ledger with calls, and the command run over it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exporter.calls import Call
from exporter.ledger import Ledger
from exporter.sources import Batch
from handrail.clock import SystemClock
from handrail.database import create_engine
from handrail.settings import Settings, parse

CONFIG = """
sources: {{n8n: [{{name: main, url: "http://n8n.test", api_key_env: KEY, discover: true}}]}}
slas: {{default: {{}}, patient: {{latency: {{threshold: 60s}}}}}}
agents:
  - {{name: invoices, from: {{n8n: main, workflow: Invoices}}}}
  - {{name: research, from: {{n8n: main, workflow: Research}}, sla: patient}}
exporter: {{database_url: "sqlite:///{folder}/ledger.sqlite"}}
"""


def config_in(folder: Path) -> Path:
    """A configuration whose ledger is in the same folder."""
    path = folder / "handrail.yaml"
    if not path.exists():  # several writers read it at once
        path.write_text(CONFIG.format(folder=folder))
    return path


def settings_in(folder: Path) -> Settings:
    """The same as settings."""
    return parse(config_in(folder).read_text())


def made(number: int, *, ago_s: float = 0.0, seconds: float = 1.0, **fields: object) -> Call:
    """A call that ended so long ago."""
    end, duration = datetime.now(UTC) - timedelta(seconds=ago_s), timedelta(seconds=seconds)
    values: dict[str, object] = {
        "source": "n8n/main",
        "id": f"{number}/Agent/0",
        "agent": "invoices",
        "started_at": end - duration,
        "finished_at": end,
        "duration": duration,
        "outcome": "error" if "error_reason" in fields else "success",
        "execution": str(number),
        "url": f"http://n8n.test/workflow/w/executions/{number}",
    }
    return Call(**(values | fields))  # type: ignore[arg-type]  # fields are what a test says


def store(folder: Path, calls: Sequence[Call]) -> None:
    """Commit the calls as the exporter does, in one batch."""
    settings = settings_in(folder)
    engine = create_engine(settings.exporter.database_url)
    Ledger(engine, settings, SystemClock()).commit("n8n/main", Batch(state={}, calls=tuple(calls)))
    engine.dispose()

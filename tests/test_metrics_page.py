"""docs/metrics.md and the two running programs name the same metrics, both ways."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from alerting.receiver.app import assemble
from drill.simulators.cloudflare import CloudflareSimulator
from drill.simulators.n8n import N8nSimulator
from exporter.app import running
from handrail.clock import SystemClock
from handrail.http import build_client
from handrail.settings import parse

CONFIG = """
sources:
  n8n: [{name: main, url: "http://n8n.test", api_key_file: FOLDER/n8n-key, discover: true, poll_interval: 1s}]
  cloudflare:
    - {name: main, url: "http://cf.test/client/v4", account_id: 0123456789abcdef0123456789abcdef,
       api_token_file: FOLDER/cf-token, gateways: [prod], discover: true, poll_interval: 1s, hold_back: 0s}
tickets: {jira: {url: "http://jira.test", project: OPS, token_file: FOLDER/cf-token, token_expires: 2030-01-01}}
exporter: {listen: "127.0.0.1:0", database_url: "sqlite:///FOLDER/ledger.sqlite"}
receiver:
  database_url: "sqlite:///FOLDER/receiver.sqlite"
  webhook_token_file: FOLDER/cf-token
  operator_token_file: FOLDER/cf-token
"""
WAIT_S = 20


@dataclass(frozen=True)
class Row:
    """A metric as the page or a scrape describes it. Labels are None when a scrape has no sample to show them."""

    kind: str
    labels: frozenset[str] | None


class Services:
    """Both services behind one transport."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.n8n, self.cloudflare = N8nSimulator(clock), CloudflareSimulator(clock)
        self.cloudflare.token.expires_on = "2030-01-01T00:00:00Z"
        self.n8n.call(self.n8n.add_workflow("Helper"))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        app: Any = self.n8n if request.url.host == "n8n.test" else self.cloudflare
        return httpx.WSGITransport(app=app).handle_request(request)

    def close(self) -> None:
        """As a transport has to have it."""


@pytest.fixture(scope="module")
def of_exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, services, pause = tmp_path_factory.mktemp("exporter"), Services(), threading.Event()
    (folder / "n8n-key").write_text("n8n-key")
    (folder / "cf-token").write_text("cf-token")
    config = parse(CONFIG.replace("FOLDER", str(folder)))
    with (
        running(config, transport=services) as exporter,  # type: ignore[arg-type]
        build_client(base_url=f"http://127.0.0.1:{exporter.port}") as client,
    ):
        for _ in range(WAIT_S * 20):
            text = client.get("/metrics").text
            up = all(f'handrail_source_up{{source="{name}"}} 1.0' in text for name in ("n8n/main", "cloudflare/main"))
            if up and text.count("handrail_credential_expiry_timestamp_seconds{") == 2:
                break
            pause.wait(0.05)
        yield text
    services.cloudflare.close()


@pytest.fixture(scope="module")
def of_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("receiver")
    (folder / "cf-token").write_text("a-token")
    receiver = assemble(
        parse(CONFIG.replace("FOLDER", str(folder))),
        clock=SystemClock(),
        port=None,
        switches={},
        prometheus=build_client(base_url="http://p", transport=httpx.MockTransport(lambda _: httpx.Response(503))),
        exporter=build_client(base_url="http://e", transport=httpx.MockTransport(lambda _: httpx.Response(503))),
    )
    with TestClient(receiver.app) as client:
        yield client.get("/metrics").text
    receiver.engine.dispose()


def scraped(text: str) -> dict[str, Row]:
    return {name_of(family): Row(family.type, labels_of(family)) for family in text_string_to_metric_families(text)}


def name_of(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def labels_of(family: Metric) -> frozenset[str] | None:
    ordinary = {"le"} if family.type == "histogram" else set()
    return next((frozenset(set(sample.labels) - ordinary) for sample in family.samples), None)


def documented(root: Path) -> dict[str, list[Row]]:
    """The rows of the page; one for each program that has the metric."""
    page = (root / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows: dict[str, list[Row]] = {}
    for name, kind, labels in re.findall(r"^\| `([a-z_]+)` \| (\w+) \| ([\w, ]*) ?\|", page, re.MULTILINE):
        named = frozenset(label for label in re.split(r"[, ]+", labels.strip()) if label)
        rows.setdefault(name, []).append(Row(kind, named))
    return rows


def test_every_metric_that_is_exposed_stands_in_the_page(of_exporter: str, of_receiver: str, root: Path) -> None:
    """With its type and, where a series shows them, its labels."""
    page = documented(root)
    for name, row in [*scraped(of_exporter).items(), *scraped(of_receiver).items()]:
        described = page.get(name, [])
        assert any(row.kind == it.kind and row.labels in (None, it.labels) for it in described), (name, row, described)


def test_every_metric_in_the_page_is_exposed(of_exporter: str, of_receiver: str, root: Path) -> None:
    """What a program does not serve any more is not promised."""
    assert set(documented(root)) - set(scraped(of_exporter)) - set(scraped(of_receiver)) == set()


@pytest.mark.tools
@pytest.mark.parametrize("program", ["of_exporter", "of_receiver"])
def test_promtool_finds_nothing_to_complain_about(program: str, root: Path, request: pytest.FixtureRequest) -> None:
    """Names, types and help texts follow the conventions, of both programs as they run."""
    if (promtool := tool("promtool", root)) is None:
        pytest.skip("no promtool found: name its folder in HANDRAIL_TOOLS, or run make up once")
    text = request.getfixturevalue(program).encode()
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "", "")


def tool(name: str, root: Path) -> Path | None:
    named = [Path(folder) for folder in os.environ.get("HANDRAIL_TOOLS", "").split(":") if folder]
    on_path = [Path(folder) for folder in os.environ.get("PATH", "").split(":") if folder]
    folders = [*named, *on_path, root / ".handrail" / "bin" / "usr" / "bin"]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)

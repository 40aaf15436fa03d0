"""The checkers of others, each built once, and everything that is rendered for them to judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerting.outputs.documents import Output
from alerting.outputs.kubernetes import Kubernetes
from alerting.outputs.mimir import Mimir
from alerting.outputs.prometheus import PrometheusFiles
from alerting.render import SecretFiles, render
from handrail.settings import load, parse
from tests.alerting.conftest import MINIMAL, place
from tests.checkers.go_programs import MIXTOOL, OPERATOR, PINT, GoMissing, Module, program, source

ROOT = Path(__file__).resolve().parents[2]
OUTPUTS: dict[str, Output] = {
    "prometheus": PrometheusFiles(),
    "kubernetes": Kubernetes("monitoring", {"release": "prometheus"}, receiver_port=9096),
    "mimir": Mimir("https://handrail.example.com/v1/alerts"),
}
# As unlike the example as settings may be: several SLAs, long names, other windows, no delays, every way to people.
ODD = """
agents: [{name: support-bot, from: {n8n: main, workflow: A}, owner: support}]
notify:
  slack: {webhook_url_file: /run/secrets/slack_webhook_url}
  email: {smarthost: "smtp.example.com:587", from: handrail@example.com, to: [on-call@example.com, lead@example.com],
          user: handrail, password_file: /run/secrets/email_password}
  webhook: {url: "https://pager.example.com/alerts", token_file: /run/secrets/pager_token}
  owners:
    support: {slack: {webhook_url_file: /run/secrets/slack_webhook_url_support}, email: [support@example.com]}
  office_hours: {days: "mon-fri", from: "08:00", to: "18:00"}
slas:
  default: {errors: {window: 1h30m, min_calls: 20, min_errors: 3}, tokens: {min_tokens: 0, for: 0s}}
  a-name-that-is-as-long-as-a-name-may-be.and_has-dots_and-more-1: {latency: {consecutive_calls: 1}}
  weekly:
    {objective: {availability: 99.9%, window: 7d}, tokens: {baseline_days: 14, per_call: 900},
     percentiles: {median: 1500ms, p95: 8s}, slowdown: {window: 15m},
     cost: {increase: 20%, per_call_increase: 20%, window: 7d, per_day: 20 USD}}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only where they are asked for: the first run downloads and builds."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.checkers)


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, the odd file and one that sets nothing, each for everybody: FOLDER/example/kubernetes, …"""
    folder = tmp_path_factory.mktemp("rendered")
    for name, settings in {
        "example": load(ROOT / "handrail.example.yaml"),
        "odd": parse(MINIMAL + ODD, environ={}),
        "nothing": parse(MINIMAL, environ={}),
    }.items():
        for reader, output in OUTPUTS.items():
            render(settings, folder / name / reader, SecretFiles.of(settings, place), output)
    return folder


def _built(module: Module, factory: pytest.TempPathFactory) -> Path:
    try:
        return program(module, bin_folder=ROOT / ".handrail/go/bin", folder=factory.mktemp("go"))
    except GoMissing as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def pint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cloudflare's linter of rules."""
    return _built(PINT, tmp_path_factory)


@pytest.fixture(scope="session")
def mixtool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The linter and generator of monitoring mixins."""
    return _built(MIXTOOL, tmp_path_factory)


@pytest.fixture(scope="session")
def crds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the Prometheus operator's CRDs."""
    try:
        return source(OPERATOR, tmp_path_factory.mktemp("go")) / "example" / "prometheus-operator-crd"
    except GoMissing as reason:
        pytest.skip(str(reason))

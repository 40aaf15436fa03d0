"""Credentials: how long they last, whether they still work, and what to do when they do not; never what they are."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine

from drill.simulators.cloudflare import CloudflareSimulator
from drill.simulators.n8n import N8nSimulator
from exporter.credentials.metrics import CredentialCollector
from exporter.credentials.n8n import dates_in
from exporter.credentials.plain import plain_secrets
from exporter.credentials.watch import CredentialWatch
from exporter.ledger import Ledger
from exporter.poller import Poller
from exporter.watch import Watched, Wiring
from handrail.database import create_engine
from handrail.logs import get_logger
from handrail.settings import Settings, parse

ACCOUNT = "0123456789abcdef0123456789abcdef"
CONFIG = """
sources:
  n8n: [{name: main, url: "http://n8n.test", api_key_file: FOLDER/n8n_key}]
  cloudflare:
    - {name: main, url: "http://cf.test/client/v4", account_id: 0123456789abcdef0123456789abcdef,
       api_token_file: FOLDER/cf_token, gateways: [prod]}
agents: [{name: invoices, from: {n8n: main, workflow: Invoices}, kill_switch: SWITCH, handoff_token_env: HANDOFF}]
tickets: {jira: {url: "http://jira.test", project: OPS, token_file: FOLDER/jira_token,
                 token_issued: 2026-10-01, token_expires: 2027-10-01}}
notify: {slack: {webhook_url_file: FOLDER/slack_url, bot_token_file: FOLDER/slack_bot, channel_id: C0123456789}}
receiver: {webhook_token_file: FOLDER/webhook_token, operator_token_file: FOLDER/missing}
"""
FILES = ("cf_token", "jira_token", "slack_url", "webhook_token", "slack_bot")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRETS = ("cf-token", "jira-secret", "slack-secret", "webhook-secret", "xoxb-secret", "signature")


def jwt(**claims: Any) -> str:
    """A key as n8n makes it; nobody verifies its signature."""
    payload = {"sub": "user", "iss": "n8n", "aud": "public-api"} | claims
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, payload)]
    return ".".join([*parts, "signature"])


def epoch(time: datetime) -> int:
    return int(time.timestamp())


class Bench:
    """Both services on the wire, their pollers, and the credentials as a scrape shows them."""

    def __init__(self, folder: Path, engine: Engine, clock: Any, key: str, switch: str) -> None:
        self.folder, self.clock = folder, clock
        for name, text in zip(FILES, SECRETS, strict=False):
            (folder / name).write_text(text)
        self.n8n, self.cloudflare = N8nSimulator(clock, key), CloudflareSimulator(clock)
        self.n8n.add_workflow("Invoices")
        self.settings: Settings = parse(CONFIG.replace("FOLDER", str(folder)).replace("SWITCH", switch))
        self.write_key(key)
        self.stack = ExitStack()
        self.refusing = False
        self.asked: list[str] = []
        self.wiring = Wiring(self.settings, clock, stack=self.stack, transport=self)
        self.watched = self.wiring.watched()
        ledger = Ledger(engine, self.settings, clock)
        self.pollers = [self._poller(each, ledger) for each in self.watched]
        sources = [(each.credential, (each.health,)) for each in self.watched]
        plain = [(secret, ()) for secret in plain_secrets(self.settings)]
        self.watch = CredentialWatch([*sources, *plain], get_logger("test"))
        self.registry = CollectorRegistry()
        self.registry.register(CredentialCollector(lambda: self.watch.standings, lambda: self.settings.credentials))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.refusing:
            raise httpx.ConnectError("refused")
        self.asked.append(request.url.path)
        app = self.n8n if request.url.host == "n8n.test" else self.cloudflare
        return httpx.WSGITransport(app=app).handle_request(request)  # type: ignore[arg-type]

    def close(self) -> None:
        """As a transport has to have it."""

    def _poller(self, each: Watched, ledger: Ledger) -> Poller:
        logger = get_logger("test")
        what_to_do = each.credential.what_to_do
        return Poller(each.source, ledger, each.health, logger, clock=self.clock, what_to_do=what_to_do)

    def write_key(self, key: str) -> None:
        (self.folder / "n8n_key").write_text(key)

    def poll(self) -> list[str]:
        """Poll both and look; what to do about n8n, as the log says it."""
        with structlog.testing.capture_logs() as logged:
            for poller in self.pollers:
                poller.poll_once()
            self.watch.look()
        assert not any(secret in str(logged) for secret in SECRETS)
        return [entry["what_to_do"] for entry in logged if "what_to_do" in entry]

    def value(self, name: str, credential: str = "n8n/main", **labels: str) -> float | None:
        return self.registry.get_sample_value(f"handrail_credential_{name}", {"credential": credential} | labels)

    def asks(self, path: str) -> int:
        return sum(asked.endswith(path) for asked in self.asked)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield engine
    engine.dispose()


@pytest.fixture
def key() -> str:
    return jwt(iat=epoch(NOW - timedelta(days=60)), exp=epoch(NOW + timedelta(days=10)))


@pytest.fixture
def bench(tmp_path: Path, engine: Engine, clock: Any, key: str) -> Iterator[Bench]:
    opened = Bench(tmp_path, engine, clock, key, "{n8n: deactivate}")
    yield opened
    opened.stack.close()
    opened.cloudflare.close()


def test_an_n8n_key_says_its_dates_itself(bench: Bench) -> None:
    """They are read inside the key; n8n has no request that tells them."""
    bench.poll()
    assert bench.value("expiry_timestamp_seconds") == epoch(NOW + timedelta(days=10))
    assert bench.value("issued_timestamp_seconds", basis="stated") == epoch(NOW - timedelta(days=60))


def test_a_key_that_never_expires_has_no_end(bench: Bench) -> None:
    """No series, rather than a number that stands for never."""
    bench.write_key(jwt(iat=epoch(NOW)))
    bench.poll()
    assert bench.value("expiry_timestamp_seconds") is None
    assert bench.value("issued_timestamp_seconds", basis="stated") == epoch(NOW)


def test_a_key_that_is_no_jwt_is_as_old_as_its_file(bench: Bench) -> None:
    """The file's time is the latest time it can have been issued, and the label says that it is only that."""
    bench.write_key("n8n-key")
    os.utime(bench.folder / "n8n_key", (1000.0, 1_790_000_000.0))
    bench.poll()
    assert bench.value("issued_timestamp_seconds", basis="file") == 1_790_000_000
    assert bench.value("issued_timestamp_seconds", basis="stated") is None


@given(st.text(max_size=40) | st.tuples(*[st.text("abc._-=", max_size=9)] * 3).map(".".join))
def test_no_text_is_too_strange_for_a_key(text: str) -> None:
    """Whatever stands in the file, reading its dates fails with nothing worse than none."""
    assert dates_in(text) is None


@pytest.mark.parametrize("claim", [True, "soon", -5, 1e300, float("nan"), None, [1]])
def test_dates_that_are_none_are_none(claim: object) -> None:
    """A claim of another type or beyond the calendar says nothing."""
    dates = dates_in(jwt(exp=claim, iat=1_790_000_000))
    assert dates is not None
    assert (dates.expires_at, dates.issued_at) == (None, datetime.fromtimestamp(1_790_000_000, UTC))


def test_configured_dates_count_where_nobody_tells(bench: Bench) -> None:
    """Jira's are written in handrail.yaml; Slack's file stands in; what cannot be looked at has no date."""
    bench.poll()
    assert bench.value("issued_timestamp_seconds", "jira", basis="configured") == epoch(
        datetime(2026, 10, 1, tzinfo=UTC)
    )
    assert bench.value("expiry_timestamp_seconds", "jira") == epoch(datetime(2027, 10, 1, tzinfo=UTC))
    assert bench.value("issued_timestamp_seconds", "slack", basis="file") is not None
    assert bench.value("issued_timestamp_seconds", "slack-bot", basis="file") is not None
    assert bench.value("issued_timestamp_seconds", "receiver/webhook", basis="file") is not None
    shown = generate_latest(bench.registry).decode()
    assert "receiver/operator" not in shown
    assert "handoff/invoices" not in shown
    assert not any(secret in shown for secret in SECRETS)


def test_the_policy_is_shown_for_rules(bench: Bench) -> None:
    """How old is too old, and how early to warn, as numbers."""
    assert bench.registry.get_sample_value("handrail_credential_max_age_seconds") == 90 * 86400
    assert bench.registry.get_sample_value("handrail_credential_warn_before_seconds") == 14 * 86400


@pytest.mark.parametrize("owner", ["account", "user"])
def test_cloudflare_tells_when_its_token_expires(bench: Bench, owner: Any) -> None:
    """For a token of the account and for one of a user, which are known at different addresses."""
    bench.cloudflare.token.owner = owner
    bench.cloudflare.token.expires_on = "2026-12-24T00:00:00Z"
    bench.poll()
    assert bench.value("expiry_timestamp_seconds", "cloudflare/main") == epoch(datetime(2026, 12, 24, tzinfo=UTC))
    assert bench.value("issued_timestamp_seconds", "cloudflare/main", basis="file") is not None
    assert bench.value("valid", "cloudflare/main") == 1


def test_cloudflare_tells_the_age_to_a_token_that_may_know_it(bench: Bench) -> None:
    """One that may read tokens learns when it was issued; it asks for that once."""
    bench.cloudflare.token.may_read_tokens = True
    bench.poll()
    bench.clock.advance(4000)
    bench.poll()
    issued = bench.value("issued_timestamp_seconds", "cloudflare/main", basis="stated")
    assert issued == epoch(datetime(2026, 10, 1, 8, tzinfo=UTC))
    assert bench.asks(f"/tokens/{'f' * 32}") == 1


def test_services_are_asked_rarely(bench: Bench) -> None:
    """Once an hour, and at once when the credential was replaced."""
    for _ in range(3):
        bench.poll()
        bench.clock.advance(60)
    before = (bench.asks("/discover"), bench.asks("/tokens/verify"))
    bench.clock.advance(3600)
    bench.poll()
    assert (bench.asks("/discover"), bench.asks("/tokens/verify")) == (before[0] + 1, before[1] + 1)
    (bench.folder / "cf_token").write_text("another")
    bench.poll()
    assert bench.asks("/discover") == before[0] + 1
    assert bench.asks("/tokens/verify") > before[1] + 1


def test_asking_takes_from_the_budget_of_the_account(bench: Bench) -> None:
    """What is asked about the token is taken from the same requests that reading the logs has."""
    allowance = bench.wiring.budgets_by_source()["cloudflare/main"].rest
    before = allowance.remaining
    bench.watch.look()
    assert before - allowance.remaining == len([path for path in bench.asked if "/tokens/" in path]) > 0


def test_an_outage_is_no_answer(bench: Bench) -> None:
    """What was known stays known while a service is down, and it is asked again when it is back."""
    bench.poll()
    expiry = bench.value("expiry_timestamp_seconds")
    bench.refusing = True
    bench.clock.advance(4000)
    assert bench.poll() == []
    assert (bench.value("valid"), bench.value("missing_scopes")) == (1, 0)
    assert bench.value("expiry_timestamp_seconds") == expiry
    asked = bench.asks("/discover")
    bench.refusing = False
    bench.poll()
    assert bench.asks("/discover") == asked + 1


def test_scopes_that_are_missing_are_counted_and_named(bench: Bench) -> None:
    """Those that reading needs, and those that a switch of the source needs; said once, and again when mended."""
    bench.n8n.scopes = ["execution:list", "workflow:list", "tag:list"]
    with structlog.testing.capture_logs() as logged:
        bench.watch.look()
        bench.clock.advance(4000)
        bench.watch.look()
    lacking = "execution:read execution:stop workflow:activate workflow:deactivate workflow:read"
    assert bench.value("missing_scopes") == 5
    assert [entry["reason"] for entry in logged] == [f"missing: {lacking}"]
    assert str(bench.folder / "n8n_key") in logged[0]["text"]
    bench.n8n.scopes += lacking.split()
    bench.clock.advance(4000)
    with structlog.testing.capture_logs() as logged:
        bench.watch.look()
    assert [entry["event"] for entry in logged] == ["recovered"]
    assert bench.value("missing_scopes") == 0


def test_a_source_without_a_switch_needs_less(tmp_path: Path, engine: Engine, clock: Any, key: str) -> None:
    """Reading asks for three scopes."""
    bench = Bench(tmp_path, engine, clock, key, "{env_file: /tmp/agent.env}")
    bench.n8n.scopes = ["execution:list", "execution:read", "workflow:list"]
    bench.watch.look()
    assert bench.value("missing_scopes") == 0
    bench.stack.close()
    bench.cloudflare.close()


def test_an_expired_key_is_called_expired(bench: Bench) -> None:
    """n8n's 401 does not say why; the date inside the key does. The text says where a new one goes, and with what."""
    bench.poll()
    assert bench.value("valid") == 1
    bench.clock.advance(11 * 86400)
    bench.n8n.faults.set("unauthorized")
    (text,) = bench.poll()
    assert text.startswith("the key expired on 2026-12-03; make one in n8n")
    assert str(bench.folder / "n8n_key") in text
    assert "workflow:deactivate" in text
    assert bench.value("valid") == 0


@pytest.mark.parametrize(
    ("written", "says"),
    [(jwt(iat=1_790_000_000), "N8N_PUBLIC_API_DISABLED"), ("not-a-jwt", "holds no API key of n8n")],
)
def test_other_causes_of_a_401_are_told_apart_as_far_as_they_can_be(bench: Bench, written: str, says: str) -> None:
    """A key that is still good by its date was deleted, or the API is off; a text that is no key is called that."""
    bench.write_key(written)
    (text,) = bench.poll()
    assert says in text
    assert written not in text
    assert bench.value("valid") == 0


def test_a_missing_scope_is_no_wrong_key(bench: Bench) -> None:
    """403 names the scopes that n8n says are missing."""
    bench.n8n.scopes.remove("execution:read")
    bench.watch.look()
    bench.n8n.faults.set("forbidden")
    (text,) = bench.poll()
    assert text.startswith("the key lacks the scopes execution:read;")


def test_a_refused_cloudflare_token_is_explained(bench: Bench) -> None:
    """By what Cloudflare last said about it, alike for everything that is read with it."""
    bench.cloudflare.token.status, bench.cloudflare.token.expires_on = "expired", "2026-11-20T00:00:00Z"
    bench.poll()
    bench.cloudflare.faults.set("unauthorized")
    (text,) = set(bench.poll())
    assert text.startswith("the token expired on 2026-11-20; make one in the dashboard with AI Gateway Read")
    assert bench.value("valid", "cloudflare/main") == 0
    bench.cloudflare.faults.set("forbidden")
    (text,) = set(bench.poll())
    assert "lacks a permission" in text


def test_a_rotated_key_is_used_at_the_next_request(bench: Bench) -> None:
    """Without a restart: the old one is refused, the new one in the same file works, and its dates are shown."""
    new = jwt(iat=epoch(NOW), exp=epoch(NOW + timedelta(days=90)))
    bench.poll()
    bench.n8n.api_key = new
    assert len(bench.poll()) == 1
    assert bench.value("valid") == 0
    bench.write_key(new)
    assert bench.poll() == []
    assert bench.value("valid") == 1
    assert bench.value("expiry_timestamp_seconds") == epoch(NOW + timedelta(days=90))


def test_a_key_file_that_is_gone_is_named(bench: Bench) -> None:
    """It counts as a key that does not work, and nothing is said about its dates any more."""
    (bench.folder / "n8n_key").unlink()
    (text,) = bench.poll()
    assert str(bench.folder / "n8n_key") in text
    assert bench.value("valid") == 0
    assert bench.value("expiry_timestamp_seconds") is None

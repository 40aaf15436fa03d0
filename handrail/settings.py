"""`handrail.yaml`, parsed once into frozen objects: unknown keys are refused and every problem is reported together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from handrail.agent_settings import Agent
from handrail.fields import ADDRESS, NAME, Address, Model, Name, PositiveDuration, Size, Url, WithSecrets
from handrail.notify_settings import Notify
from handrail.positions import Positions, YamlError, parse_yaml
from handrail.references import broken_references
from handrail.secret import Secret
from handrail.sla import Sla
from handrail.source_settings import Sources
from handrail.ticket_settings import Tickets
from handrail.tls_settings import ReceiverTls


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the file: where (path and line) and what to do about it."""

    path: str
    line: int | None
    text: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.path}: {self.text}" if self.path else f"{where}{self.text}"


class SettingsError(Exception):
    """The file cannot be used; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Contact(Model):
    """Who a person turns to, and who gets hand-offs."""

    name: str = "Automation on-call"
    slack: str | None = None
    email: str | None = None
    jira_account: str | None = None


class Team(Model):
    """Who runs the agents."""

    name: str = "Our team"
    contact: Contact = Contact()


class Limits(Model):
    """How fast one credential may be used; ten seconds or a minute of it may come at once."""

    notifications_per_second: Annotated[int, Field(ge=1, le=100_000)] = 200
    handoffs_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 120
    operations_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 120


# Every label that an alert of the rules can have; a test holds them against what is rendered.
ALERT_LABELS: frozenset[str] = frozenset(
    {"agent", "alertname", "baseline", "basis", "credential", "cron", "dataset", "drilled", "gateway", "instance"}
    | {"integration", "job", "lane", "limit", "owner", "pace", "per", "rule_group", "scenario", "severity", "sla"}
    | {"source", "worker"}
)


def _labels_of_alerts(names: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := sorted(set(names) - ALERT_LABELS):
        raise ValueError(f"no alert has a label {unknown[0]!r}; there are: {', '.join(sorted(ALERT_LABELS))}")
    if len(set(names)) < len(names):
        raise ValueError("names a label twice")
    return names


def _a_minute(value: timedelta) -> timedelta:
    if value < timedelta(minutes=1):
        raise ValueError("must be at least 1m: Prometheus tells a new Alertmanager its alerts once a minute")
    return value


class Receiver(WithSecrets):
    """The webhook receiver."""

    listen: Address = "127.0.0.1:9096"
    public_url: Url = "http://127.0.0.1:9096"
    webhook_token: Secret = Secret(file=Path(".handrail/secrets/webhook_token"))
    operator_token: Secret = Secret(file=Path(".handrail/secrets/operator_token"))
    handoff_token: Secret = Secret(file=Path(".handrail/secrets/handoff_token"))
    database_url: str = "sqlite:///.handrail/receiver/receiver.sqlite"
    proof_window: PositiveDuration = timedelta(seconds=15)
    incident_labels: Annotated[tuple[str, ...], AfterValidator(_labels_of_alerts)] = ()
    alertmanagers: tuple[Url, ...] = ()
    reconcile_interval: Annotated[PositiveDuration, AfterValidator(_a_minute)] = timedelta(minutes=1)
    limits: Limits = Limits()
    tls: ReceiverTls | None = None

    @model_validator(mode="after")
    def _is_reached_over_tls(self) -> Self:
        if self.tls is not None and not self.public_url.startswith("https://"):
            raise ValueError(f"public_url {self.public_url} must begin with https://, as tls is set")
        return self


class Credentials(Model):
    """How old a credential may become, and how early its end is announced."""

    max_age: PositiveDuration = timedelta(days=90)
    warn_before: PositiveDuration = timedelta(days=14)

    @model_validator(mode="after")
    def _warns_some_time(self) -> Self:
        if self.warn_before >= self.max_age:
            raise ValueError("warn_before must be shorter than max_age, or every credential is warned of at once")
        return self


class Retention(Model):
    """How long and in how much room single calls are kept; totals are kept for ever."""

    calls: PositiveDuration = timedelta(days=45)
    size: Size = 1024**3

    @model_validator(mode="after")
    def _keeps_enough(self) -> Self:
        if self.calls < timedelta(days=1):
            raise ValueError("calls must be 1d or longer: a call that is forgotten too early is counted again")
        if self.size < 16 * 1024**2:
            raise ValueError("size must be 16MiB or more: totals and the calls of a day need that much")
        return self


class Exporter(Model):
    """The metrics exporter."""

    listen: Address = "127.0.0.1:9095"
    database_url: str = "sqlite:///.handrail/exporter/ledger.sqlite"
    retention: Retention = Retention()


class Prometheus(Model):
    """The Prometheus of the stack."""

    listen: Address = "127.0.0.1:9090"
    scrape_interval: PositiveDuration = timedelta(seconds=15)
    evaluation_interval: PositiveDuration = timedelta(seconds=15)
    retention: PositiveDuration = timedelta(days=30)


class Alertmanager(Model):
    """The Alertmanager of the stack."""

    listen: Address = "127.0.0.1:9093"


class Settings(Model):
    """Everything a team decides. All names it refers to exist, and no name stands twice."""

    team: Team = Team()
    sources: Sources
    slas: dict[Name, Sla] = Field(default_factory=lambda: {"default": Sla()})
    agents: tuple[Agent, ...] = ()
    notify: Notify = Notify()
    tickets: Tickets = Tickets()
    credentials: Credentials = Credentials()
    receiver: Receiver = Receiver()
    exporter: Exporter = Exporter()
    prometheus: Prometheus = Prometheus()
    alertmanager: Alertmanager = Alertmanager()

    def agent(self, name: str) -> Agent | None:
        """The configured agent of that name; None for one that was discovered."""
        return next((agent for agent in self.agents if agent.name == name), None)

    @property
    def alertmanagers(self) -> tuple[str, ...]:
        """The URL of every Alertmanager that tells the receiver."""
        return self.receiver.alertmanagers or (f"http://{self.alertmanager.listen}",)

    def sla_of(self, agent: str) -> Sla:
        """The SLA that holds for an agent; a discovered one is held to `default`."""
        configured = self.agent(agent)
        return self.slas.get(configured.sla if configured else "default", Sla())


def load(path: Path, *, environ: Mapping[str, str] = os.environ) -> Settings:  # noqa: TID251 - the default of the edge
    """The settings in the file at `path`; SettingsError with every problem, each with its path and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SettingsError([Problem("", None, f"{path} cannot be read: {reason}")]) from error
    return parse(text, environ=environ)


def parse(text: str, *, environ: Mapping[str, str] = os.environ) -> Settings:  # noqa: TID251 - the default of the edge
    """The settings written in `text`; SettingsError with every problem, each with its path and line."""
    try:
        document, positions = parse_yaml(text)
    except YamlError as error:
        raise SettingsError([Problem("", error.line, error.text)]) from error
    if not isinstance(document, dict):
        raise SettingsError([Problem("", 1, "the file must hold a mapping that begins with sources:")])
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        raise SettingsError(_problems(error, positions)) from error
    if broken := [Problem(".".join(path), positions.line(path), text) for path, text in broken_references(settings)]:
        raise SettingsError(broken)
    return settings


_CLEARER = {
    "extra_forbidden": "unknown setting; remove it or mend its spelling",
    "missing": "is missing",
}


def _problems(error: ValidationError, positions: Positions) -> list[Problem]:
    found = []
    for item in error.errors(include_url=False):
        location = [str(part) for part in item["loc"] if not _is_variant(part)]
        text = _CLEARER.get(item["type"]) or item["msg"].removeprefix("Value error, ")
        if item["type"] == "string_pattern_mismatch":
            text = _pattern_text(str(item["input"]), item["ctx"]["pattern"])
        found.append(Problem(".".join(location), positions.line(location), text))
    return sorted(found, key=lambda problem: (problem.line or 0, problem.path))


def _is_variant(part: object) -> bool:
    return isinstance(part, str) and part in {"N8nAgent", "GatewayAgent", "N8nSwitch", "EnvFileSwitch"}


def _pattern_text(value: str, pattern: str) -> str:
    if pattern == NAME:
        return f"{value!r} must be lower-case letters, digits, '.', '_' or '-', at most 63 of them"
    if pattern == ADDRESS:
        return f"{value!r} is not host:port, e.g. 127.0.0.1:9090"
    if "https?" in pattern:
        return f"{value!r} is not a URL that begins with http:// or https:// and ends without a slash"
    return f"{value!r} must be a project key in capitals, e.g. OPS"

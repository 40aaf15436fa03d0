"""`handrail.yaml`, parsed once into frozen objects: unknown keys are refused and every problem is reported together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from handrail.fields import ADDRESS, NAME, Address, Duration, Model, Name, PositiveDuration, Ratio, Url, WithSecrets
from handrail.positions import Positions, YamlError, parse_yaml
from handrail.references import broken_references
from handrail.secret import Secret


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


class N8nSource(WithSecrets):
    """One n8n, read through its public API."""

    name: Name
    url: Url
    api_key: Secret
    discover: bool = False
    exclude: tuple[str, ...] = ()
    poll_interval: PositiveDuration = timedelta(seconds=10)


class CloudflareSource(WithSecrets):
    """One Cloudflare account with its AI Gateways."""

    name: Name
    url: Url = "https://api.cloudflare.com/client/v4"
    account_id: str
    api_token: Secret
    gateways: tuple[str, ...] = ()
    agent_metadata_key: str = "agent"
    workers: tuple[str, ...] = ()
    discover: bool = False
    poll_interval: PositiveDuration = timedelta(seconds=30)
    hold_back: Duration = timedelta(seconds=60)


class Sources(Model):
    """Where calls are read from."""

    n8n: tuple[N8nSource, ...] = ()
    cloudflare: tuple[CloudflareSource, ...] = ()


class LatencySla(Model):
    """How many calls in a row may not be slower than the threshold; `hold`: how long a breach fires."""

    threshold: PositiveDuration = timedelta(seconds=5)
    consecutive_calls: int = Field(default=3, ge=1, le=100)
    hold: PositiveDuration = timedelta(minutes=5)


class ErrorSla(Model):
    """Which share of calls may fail in a window."""

    ratio: Ratio = Decimal("0.02")
    window: PositiveDuration = timedelta(minutes=10)
    min_calls: int = Field(default=1, ge=1)
    min_errors: int = Field(default=1, ge=1)

    @field_validator("ratio")
    @classmethod
    def _can_be_exceeded(cls, value: Decimal) -> Decimal:
        if value >= 1:
            raise ValueError("100% of calls cannot be exceeded, so the alert could never fire; write less, e.g. 2%")
        return value


class TokenSla(Model):
    """How far token usage may rise above the same hour of the last days."""

    increase: Ratio = Decimal("0.30")
    baseline_days: int = Field(default=7, ge=3, le=14)
    min_tokens: int = Field(default=1000, ge=0)
    for_: Duration = Field(default=timedelta(minutes=15), alias="for")


class Objective(Model):
    """The availability promised over a window."""

    availability: Ratio = Decimal("0.99")
    window: PositiveDuration = timedelta(days=28)


class HandoffSla(Model):
    """Below which confidence a person takes over."""

    min_confidence: Ratio = Decimal("0.80")


class Sla(Model):
    """What an agent is held to."""

    latency: LatencySla = LatencySla()
    errors: ErrorSla = ErrorSla()
    tokens: TokenSla = TokenSla()
    objective: Objective = Objective()
    handoff: HandoffSla = HandoffSla()


class N8nAgent(Model):
    """An agent that is a workflow in n8n, by name or id."""

    n8n: str
    workflow: str

    @property
    def source_ref(self) -> tuple[str, str]:
        """The kind and name of the source that the agent's calls come from."""
        return "n8n", self.n8n


class GatewayAgent(Model):
    """An agent that is told apart by the metadata of its requests through AI Gateway."""

    ai_gateway: str
    metadata: dict[str, str]

    @property
    def source_ref(self) -> tuple[str, str]:
        """The kind and name of the source that the agent's calls come from."""
        return "cloudflare", self.ai_gateway


class N8nSwitch(Model):
    """Unpublishes the workflow."""

    n8n: Literal["deactivate"]

    @property
    def kind(self) -> str:
        return "n8n"


class EnvFileSwitch(Model):
    """Writes AGENT_ENABLED=false into a file."""

    env_file: Path

    @property
    def kind(self) -> str:
        return "env_file"


class Agent(WithSecrets):
    """One agent, where its calls are read, what it is held to and how it is switched off."""

    name: Name
    source: N8nAgent | GatewayAgent = Field(alias="from")
    sla: str = "default"
    owner: str | None = None
    schedule: str | None = None
    confidence: str | None = None
    kill_switch: N8nSwitch | EnvFileSwitch | None = None
    kill_on: tuple[str, ...] = ()
    handoff_token: Secret | None = None

    @field_validator("source", "kill_switch", mode="before")
    @classmethod
    def _one_kind(cls, value: Any, info: Any) -> Any:
        """Chooses the variant by its key, so that a typo inside it is reported once and not for every variant."""
        kinds: dict[str, type[Model]] = (
            {"n8n": N8nAgent, "ai_gateway": GatewayAgent}
            if info.field_name == "source"
            else {"n8n": N8nSwitch, "env_file": EnvFileSwitch}
        )
        if not isinstance(value, dict):
            return value
        for key, model in kinds.items():
            if key in value:
                return model.model_validate(value)
        raise ValueError(f"name one of {', '.join(kinds)}")

    @model_validator(mode="after")
    def _switch_fits(self) -> Self:
        if self.kill_on and self.kill_switch is None:
            raise ValueError("kill_on needs a kill_switch: without one nothing could be switched off")
        if isinstance(self.kill_switch, N8nSwitch) and not isinstance(self.source, N8nAgent):
            raise ValueError("kill_switch n8n needs an agent that comes from n8n")
        return self


class Slack(WithSecrets):
    """The incoming webhook."""

    webhook_url: Secret
    channel: str | None = None


class Notify(Model):
    """Whom Alertmanager tells, and how often."""

    slack: Slack | None = None
    group_wait: Duration = timedelta(seconds=30)
    group_interval: PositiveDuration = timedelta(minutes=5)
    repeat_interval: PositiveDuration = timedelta(hours=4)


class Jira(WithSecrets):
    """The project tickets are opened in."""

    url: Url
    project: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]+$")]
    issue_type: str = "Task"
    user: str | None = None
    token: Secret
    deployment: Literal["cloud", "datacenter"] = "cloud"


class Tickets(Model):
    """Where tickets are opened; none is allowed."""

    jira: Jira | None = None


class Receiver(WithSecrets):
    """The webhook receiver."""

    listen: Address = "127.0.0.1:9096"
    public_url: Url = "http://127.0.0.1:9096"
    webhook_token: Secret = Secret(file=Path(".handrail/secrets/webhook_token"))
    operator_token: Secret = Secret(file=Path(".handrail/secrets/operator_token"))
    database_url: str = "sqlite:///.handrail/receiver/receiver.sqlite"
    proof_window: PositiveDuration = timedelta(seconds=15)


class Exporter(Model):
    """The metrics exporter."""

    listen: Address = "127.0.0.1:9095"
    database_url: str = "sqlite:///.handrail/exporter/ledger.sqlite"


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
    receiver: Receiver = Receiver()
    exporter: Exporter = Exporter()
    prometheus: Prometheus = Prometheus()
    alertmanager: Alertmanager = Alertmanager()

    def agent(self, name: str) -> Agent | None:
        """The configured agent of that name; None for one that was discovered."""
        return next((agent for agent in self.agents if agent.name == name), None)

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

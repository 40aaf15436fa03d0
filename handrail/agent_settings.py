"""The settings of one agent: where its calls are read, what it is held to and how it is switched off."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from handrail.fields import Model, Name, WithSecrets
from handrail.schedule import Cron, Every, Schedule, parse_schedule
from handrail.secret import Secret


class N8nAgent(Model):
    """An agent that is a workflow in n8n, by name or id."""

    n8n: str
    workflow: str

    @property
    def source_ref(self) -> tuple[str, str]:
        """The kind and name of the source that the agent's calls come from."""
        return "n8n", self.n8n


class GatewayAgent(Model):
    """An agent behind AI Gateway: its requests by metadata, user-agent or gateway; all that is given must fit.

    `user_agent` is a pattern with `*` and `?`.
    """

    ai_gateway: str
    metadata: dict[str, str] = Field(default_factory=dict)
    user_agent: str | None = Field(default=None, min_length=1)
    gateway: str | None = Field(default=None, min_length=1)

    @property
    def source_ref(self) -> tuple[str, str]:
        """The kind and name of the source that the agent's calls come from."""
        return "cloudflare", self.ai_gateway

    @property
    def specificity(self) -> tuple[int, bool, bool]:
        """Greater is more specific: more metadata keys, then a user-agent, then a gateway."""
        return len(self.metadata), self.user_agent is not None, self.gateway is not None

    @model_validator(mode="after")
    def _selects(self) -> Self:
        if self.specificity == (0, False, False):
            raise ValueError("selects nothing; name at least one of metadata, user_agent, gateway")
        return self


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


class AgentHandoff(Model):
    """Whether executions are handed over by themselves: if nothing is said, where the agent states a confidence.

    `include_texts`: with what was asked, answered and said by tools, redacted; without it nothing of that leaves n8n.
    """

    from_executions: bool | None = None
    include_texts: bool = True


class Agent(WithSecrets):
    """One agent, where its calls are read, what it is held to and how it is switched off."""

    name: Name
    source: N8nAgent | GatewayAgent = Field(alias="from")
    sla: str = "default"
    owner: str | None = None
    schedule: Schedule | None = None
    confidence: str | None = None
    kill_switch: N8nSwitch | EnvFileSwitch | None = None
    kill_on: tuple[str, ...] = ()
    handoff_token: Secret | None = None
    handoff: AgentHandoff = AgentHandoff()

    @property
    def hands_over_from_executions(self) -> bool:
        """Whether low confidence or a failed tool in an execution becomes a hand-off without the workflow's help."""
        wanted = self.handoff.from_executions
        return self.confidence is not None if wanted is None else wanted

    @property
    def hands_over_texts(self) -> bool:
        """Whether such a hand-off quotes what was said."""
        return self.hands_over_from_executions and self.handoff.include_texts

    @field_validator("schedule", mode="before")
    @classmethod
    def _planned(cls, value: Any) -> Any:
        if value is None or isinstance(value, Every | Cron):
            return value
        return parse_schedule(str(value))

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

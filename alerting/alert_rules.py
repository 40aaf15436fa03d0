"""The rules as rendered for a team's settings, as values: the same text that Prometheus evaluates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from alerting.render import documents
from alerting.secret_files import SecretFiles
from handrail.quantities import parse_duration
from handrail.settings import Settings

# A file that Alertmanager would have to be given; who asks for the rules only reads no secret.
_ANYWHERE = Path("/run/secrets/any")


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One alerting rule. Several may share a name; their labels tell them apart."""

    name: str
    expr: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    for_: timedelta = timedelta()
    keep_firing_for: timedelta = timedelta()

    @property
    def sla(self) -> str | None:
        """The SLA whose numbers stand in it; None for an alert that is about none."""
        return self.labels.get("sla")


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """One recording rule."""

    name: str
    expr: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that is evaluated, in the order of the file, and who is told what (Alertmanager's configuration)."""

    alerts: tuple[AlertRule, ...]
    records: tuple[RecordingRule, ...]
    alertmanager: Mapping[str, Any] = field(default_factory=dict)


def rules_of(settings: Settings) -> Rules:
    """What `handrail render` would write for these settings."""
    found = documents(settings, SecretFiles.of(settings, lambda _, secret: secret.file or _ANYWHERE))
    rules = [rule for group in found["rules/handrail.yml"]["groups"] for rule in group["rules"]]
    alerts = tuple(_alert(rule) for rule in rules if "alert" in rule)
    records = tuple(
        RecordingRule(rule["record"], rule["expr"], rule.get("labels", {})) for rule in rules if "record" in rule
    )
    return Rules(alerts, records, found["alertmanager.yml"])


def _alert(rule: Mapping[str, Any]) -> AlertRule:
    return AlertRule(
        rule["alert"],
        rule["expr"],
        rule.get("labels", {}),
        rule.get("annotations", {}),
        for_=parse_duration(rule.get("for", "0s")),
        keep_firing_for=parse_duration(rule.get("keep_firing_for", "0s")),
    )

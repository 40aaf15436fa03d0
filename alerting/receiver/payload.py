"""Alertmanager's webhook, version 4: accepted only when it can be acted on, unknown keys left aside.

The shape is Alertmanager's `notify/webhook` message; newer versions add keys, so none is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from alerting.receiver.bodies import Malformed, validated

MAX_BYTES = 1024 * 1024
MAX_ALERTS = 1000

# Valid in JSON, and refused by PostgreSQL or by UTF-8: one such label must not stand in the way of all notifications.
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


def _storable(text: str) -> str:
    return _NOT_STORABLE.sub("\ufffd", text)


Text = Annotated[str, AfterValidator(_storable)]
Labels = dict[Text, Text]


class Alert(BaseModel):
    """One alert of a notification. `ends_at` means nothing while it fires."""

    model_config = ConfigDict(frozen=True)

    status: Literal["firing", "resolved"]
    labels: Labels
    annotations: Labels
    starts_at: datetime = Field(alias="startsAt")
    ends_at: datetime = Field(alias="endsAt")
    generator_url: Text = Field(alias="generatorURL", default="")
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{1,16}$")]

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")

    @property
    def agent(self) -> str | None:
        return self.labels.get("agent")


class Notification(BaseModel):
    """A group of alerts as Alertmanager tells it."""

    model_config = ConfigDict(frozen=True)

    version: Literal["4"]
    group_key: Text = Field(alias="groupKey")
    receiver: Text
    group_labels: Labels = Field(alias="groupLabels")
    external_url: Text = Field(alias="externalURL", default="")
    truncated_alerts: int = Field(alias="truncatedAlerts", default=0)
    alerts: Annotated[tuple[Alert, ...], Field(min_length=1, max_length=MAX_ALERTS)]

    @property
    def firing(self) -> tuple[Alert, ...]:
        """The alerts that fire. The group's own status is not trusted: a truncated payload carries a wrong one."""
        return tuple(alert for alert in self.alerts if alert.status == "firing")

    @property
    def alertname(self) -> str:
        return self.group_labels.get("alertname") or self.alerts[0].name

    @property
    def agent(self) -> str | None:
        """The one agent it is about; None when the group has several or none."""
        agents = {alert.agent for alert in self.alerts}
        return agents.pop() if len(agents) == 1 else None

    @property
    def state_digest(self) -> str:
        """Equal for repeats and copies of the same state, whoever sends them; differs when an alert joins or ends."""
        states = sorted((alert.fingerprint, alert.status) for alert in self.alerts)
        return _hash([self.receiver, sorted(self.group_labels.items()), states])


def parse(body: bytes) -> Notification:
    """The notification in `body`; Malformed says what is wrong with it."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not JSON") from error
    notification = validated(Notification, document)
    if not notification.alertname:
        raise Malformed("alerts.0.labels.alertname: is missing")
    return notification


def incident_key(scope: str, alertname: str, labels: Mapping[str, str]) -> str:
    """The identity of an incident, 16 hex digits: who watches, which alert, which labels.

    Not Alertmanager's groupKey, which changes when a parent route is edited.
    """
    return _hash([scope, alertname, sorted(labels.items())])


@dataclass(frozen=True, slots=True)
class Identity:
    """Which alerts are one incident: of one alertname and one group, or those that share the values of `names`."""

    scope: str
    names: tuple[str, ...] = ()

    def key(self, labels: Mapping[str, str], group_labels: Mapping[str, str]) -> str:
        """The incident of an alert with these labels, which was told in the group of these."""
        alertname = group_labels.get("alertname") or labels.get("alertname", "")
        if not self.names:
            return incident_key(self.scope, alertname, group_labels)
        chosen = {name: labels.get(name, "") for name in self.names}
        return incident_key(self.scope, alertname if "alertname" in chosen else "", chosen)


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of one incident. `whole`: every alert of the incident would be listed if it still fired.

    `confirmed`: Alertmanager was asked, and says that these alerts fire now.
    """

    key: str
    notification: Notification
    whole: bool = True
    confirmed: bool = False


def split(notification: Notification, identity: Identity) -> tuple[Told, ...]:
    """The notification by incident, in the order in which they are first named."""
    parts: dict[str, list[Alert]] = {}
    for alert in notification.alerts:
        parts.setdefault(identity.key(alert.labels, notification.group_labels), []).append(alert)
    return tuple(
        Told(key, notification.model_copy(update={"alerts": tuple(alerts)}), whole=not identity.names)
        for key, alerts in parts.items()
    )


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()[:16]

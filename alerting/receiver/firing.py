"""What Alertmanager knows now, asked through its API (v2): the cure for what it never tells.

An Alertmanager that does not answer, or answers something else, is Unavailable: unknown is never gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import httpx
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from alerting.receiver.payload import Labels, Notification
from handrail.http import HttpClient, NotJson, read_json

# As the rendered configuration names the way to here.
RECEIVER = "receiver"

Muting = Literal["silenced", "inhibited", "muted"]


class Unavailable(Exception):
    """Not every Alertmanager could be asked; `garbage` is an answer that is none."""

    def __init__(self, text: str, *, garbage: bool = False) -> None:
        super().__init__(text)
        self.garbage = garbage


class _Status(BaseModel):
    state: str
    silenced_by: tuple[str, ...] = Field(alias="silencedBy", default=())
    inhibited_by: tuple[str, ...] = Field(alias="inhibitedBy", default=())
    muted_by: tuple[str, ...] = Field(alias="mutedBy", default=())


class _Named(BaseModel):
    name: str


class _Alert(BaseModel):
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{1,16}$")]
    labels: Labels
    annotations: Labels = Field(default_factory=dict)
    starts_at: str = Field(alias="startsAt")
    ends_at: str = Field(alias="endsAt")
    generator_url: str = Field(alias="generatorURL", default="")
    receivers: tuple[_Named, ...]
    status: _Status


class _Group(BaseModel):
    labels: Labels
    receiver: _Named
    alerts: tuple[_Alert, ...]


_ALERTS = TypeAdapter(tuple[_Alert, ...])
_GROUPS = TypeAdapter(tuple[_Group, ...])


@dataclass(frozen=True, slots=True)
class Seen:
    """One alert that fires, in the group in which the receiver would be told of it. `muting`: why it is not told."""

    notification: Notification
    muting: Muting | None

    @property
    def fingerprint(self) -> str:
        return self.notification.alerts[0].fingerprint

    @property
    def starts_at(self) -> float:
        return self.notification.alerts[0].starts_at.timestamp()


@dataclass(frozen=True, slots=True)
class View:
    """All that fires: the fingerprints of every alert, and those that concern the receiver."""

    fingerprints: frozenset[str]
    told: tuple[Seen, ...]


class Alertmanagers:
    """Asks every Alertmanager; what one of them knows is known."""

    def __init__(self, urls: Sequence[str], connect: Callable[[str], HttpClient]) -> None:
        self._urls = urls
        self._connect = connect

    def look(self) -> View:
        """What fires now; Unavailable unless all of them said."""
        fingerprints, told = set[str](), dict[tuple[str, str], Seen]()
        for url in self._urls:
            alerts, groups = self._ask(url)
            fingerprints |= {alert.fingerprint for alert in alerts}
            for group in (group for group in groups if group.receiver.name == RECEIVER):
                for alert in group.alerts:
                    seen, place = _seen(url, group, alert), (alert.fingerprint, str(sorted(group.labels.items())))
                    # One of a pair may know a silence, or what inhibits, a moment before the other.
                    if place not in told or seen.muting is None:
                        told[place] = seen
        return View(frozenset(fingerprints), tuple(told.values()))

    def _ask(self, url: str) -> tuple[tuple[_Alert, ...], tuple[_Group, ...]]:
        try:
            with self._connect(url) as client:
                groups = read_json(client.get("/api/v2/alerts/groups").raise_for_status())
                # Asked last: what joined a group meanwhile is known, what left one is looked for again.
                alerts = read_json(client.get("/api/v2/alerts").raise_for_status())
            return _ALERTS.validate_python(alerts), _GROUPS.validate_python(groups)
        except httpx.HTTPError as error:
            raise Unavailable(f"Alertmanager cannot be asked ({type(error).__name__})") from error
        except (NotJson, ValidationError) as error:
            raise Unavailable(f"what answers is no Alertmanager ({type(error).__name__})", garbage=True) from error


def _seen(url: str, group: _Group, alert: _Alert) -> Seen:
    status = alert.status
    muting: Muting | None = None
    if status.state != "active":
        muting = "silenced" if status.silenced_by else "inhibited" if status.inhibited_by else "muted"
    body = {
        "version": "4",
        "groupKey": "",
        "receiver": group.receiver.name,
        "groupLabels": group.labels,
        "externalURL": url,
        "alerts": [alert.model_dump(by_alias=True) | {"status": "firing"}],
    }
    return Seen(Notification.model_validate(body), muting)

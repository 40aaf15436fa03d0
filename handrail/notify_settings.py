"""Whom Alertmanager tells, on what way, how often and at what times of the week."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from handrail.fields import Address, Duration, Model, Name, PositiveDuration, Url, WithSecrets
from handrail.secret import Secret

_DAYS = {
    "mon": "monday",
    "tue": "tuesday",
    "wed": "wednesday",
    "thu": "thursday",
    "fri": "friday",
    "sat": "saturday",
    "sun": "sunday",
}
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00")
# Alertmanager forgets after 120h (its --data.retention) what it has sent, and would then repeat all the same.
_LONGEST_REPEAT = timedelta(days=5)


def weekdays(days: str) -> tuple[str, ...]:
    """The days of `mon-fri` or `mon-wed, sat`, by their full names; ValueError if it is no such list."""
    names = list(_DAYS)
    found: set[int] = set()
    for part in days.lower().split(","):
        first, _, last = (word.strip() for word in part.partition("-"))
        if first not in _DAYS or (last or first) not in _DAYS or ("-" in part and not last):
            raise ValueError(f"{days!r} is no list of days; write e.g. mon-fri, or mon, wed, sat")
        start = names.index(first)
        # A range may go over the end of the week: fri-mon is four days.
        found.update((start + i) % 7 for i in range((names.index(last or first) - start) % 7 + 1))
    return tuple(_DAYS[names[i]] for i in sorted(found))


def _days(value: str) -> str:
    weekdays(value)
    return value


def _time(value: object) -> object:
    if isinstance(value, int):
        # YAML 1.1 reads digits with colons as a number to the base of 60.
        text = f"{value // 60:02}:{value % 60:02}"
        raise ValueError(f'{value} is what YAML makes of a time without quotes; write "{text}"')
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError(f'{value!r} is not a time of day; write "08:00", at most "24:00"')
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"this machine knows no time zone {value!r}; write e.g. Europe/Berlin or UTC") from error
    return value


def _a_minute(value: timedelta) -> timedelta:
    if value < timedelta(minutes=1):
        raise ValueError("must be at least 1m: the watchdog itself comes once a minute")
    return value


def _remembered(value: timedelta) -> timedelta:
    if value > _LONGEST_REPEAT:
        raise ValueError("must be at most 5d: then Alertmanager forgets what it has sent")
    return value


def _no_secret(value: str) -> str:
    parts = urlsplit(value)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be host, port and path only; what is secret goes into a file named by token_file")
    return value


def _mail_address(value: str) -> str:
    if not re.fullmatch(r"[^@\s,<>]+@[^@\s,<>]+", value):
        raise ValueError(f"{value!r} is not an e-mail address; write e.g. on-call@example.com")
    return value


def _somebody(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("names nobody; write e.g. [on-call@example.com], or remove email:")
    return value


TimeOfDay = Annotated[str, BeforeValidator(_time)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
RepeatInterval = Annotated[PositiveDuration, AfterValidator(_remembered)]


def _channel_id(value: str) -> str:
    # C or G begin channels, D a person's direct messages, where no team is told anything.
    if not re.fullmatch(r"[CG][A-Z0-9]{7,20}", value):
        raise ValueError(
            f"{value!r} is not the id of a channel, such as C0123456789; "
            "Slack shows it at the end of the channel's details"
        )
    return value


class Slack(WithSecrets):
    """The incoming webhook; with a bot's token and the channel's id, tickets link to what was sent through it."""

    webhook_url: Secret
    channel: str | None = None
    bot_token: Secret | None = None
    channel_id: Annotated[str, AfterValidator(_channel_id)] | None = None
    api_url: Url = "https://slack.com/api"

    @model_validator(mode="after")
    def _knows_where_to_read(self) -> Self:
        if (self.bot_token is None) != (self.channel_id is None):
            raise ValueError("bot_token_file and channel_id belong together; give both or neither")
        return self


class Email(WithSecrets):
    """The mail server and the addresses; the password only from a file."""

    smarthost: Address
    sender: MailAddress = Field(alias="from")
    to: Annotated[tuple[MailAddress, ...], AfterValidator(_somebody)]
    user: str | None = None
    password: Secret | None = None
    require_tls: bool = True

    @model_validator(mode="after")
    def _logs_in_safely(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password_file belong together; give both or neither")
        if self.password is not None and not self.require_tls:
            raise ValueError("require_tls: false would send the password in clear; leave it out, or log in without one")
        return self


class Webhook(WithSecrets):
    """Another program that takes Alertmanager's notifications."""

    url: Annotated[Url, AfterValidator(_no_secret)]
    token: Secret | None = None

    @model_validator(mode="before")
    @classmethod
    def _url_is_no_secret(cls, data: Any) -> Any:
        if isinstance(data, dict) and {"url_file", "url_env"} & data.keys():
            raise ValueError(
                "not every Alertmanager reads the URL of a webhook from a file (0.25 does not); "
                "give url, and what is secret as token_file"
            )
        return data


class OfficeHours(Model):
    """When people are told what can wait."""

    days: Annotated[str, AfterValidator(_days)] = "mon-fri"
    start: TimeOfDay = Field(default="08:00", alias="from")
    end: TimeOfDay = Field(default="18:00", alias="to")
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f'from "{self.start}" must be before to "{self.end}"; a day ends at "24:00"')
        return self


class Heartbeat(WithSecrets):
    """A service outside that calls a person when it is not called itself."""

    url: Secret
    every: Annotated[Duration, AfterValidator(_a_minute)] = timedelta(minutes=5)


class Owner(Model):
    """Where the owner of an agent is told what concerns it."""

    slack: Slack | None = None
    email: tuple[MailAddress, ...] = ()

    @model_validator(mode="after")
    def _is_told_somewhere(self) -> Self:
        if self.slack is None and not self.email:
            raise ValueError("names no way; give slack: or email:, or remove the owner")
        return self


class Notify(Model):
    """Whom Alertmanager tells, and how often."""

    slack: Slack | None = None
    email: Email | None = None
    webhook: Webhook | None = None
    owners: dict[Name, Owner] = Field(default_factory=dict)
    office_hours: OfficeHours | None = None
    heartbeat: Heartbeat | None = None
    group_wait: Duration = timedelta(seconds=30)
    group_interval: PositiveDuration = timedelta(minutes=5)
    repeat_interval: RepeatInterval = timedelta(hours=4)
    warning_repeat_interval: RepeatInterval = timedelta(days=1)

    @model_validator(mode="after")
    def _mail_has_a_server(self) -> Self:
        if self.email is None and (named := [name for name, owner in self.owners.items() if owner.email]):
            raise ValueError(f"owners.{named[0]}.email needs a mail server; add email: with smarthost, from and to")
        return self

    def secrets(self) -> Iterator[tuple[str, str, Secret]]:
        """Every secret as its path below `notify`, a short name for it, and the secret."""
        if self.slack:
            yield "slack.webhook_url", "slack", self.slack.webhook_url
            if self.slack.bot_token:
                yield "slack.bot_token", "slack-bot", self.slack.bot_token
        if self.email and self.email.password:
            yield "email.password", "email", self.email.password
        if self.webhook and self.webhook.token:
            yield "webhook.token", "webhook", self.webhook.token
        if self.heartbeat:
            yield "heartbeat.url", "heartbeat", self.heartbeat.url
        for name, owner in self.owners.items():
            if owner.slack:
                yield f"owners.{name}.slack.webhook_url", f"slack/{name}", owner.slack.webhook_url
                if owner.slack.bot_token:
                    yield f"owners.{name}.slack.bot_token", f"slack-bot/{name}", owner.slack.bot_token

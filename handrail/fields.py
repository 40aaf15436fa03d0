"""The kinds of values `handrail.yaml` is made of: quantities with units, names, addresses, and secrets by reference."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from handrail.quantities import Dollars, parse_dollars, parse_duration, parse_ratio, parse_size
from handrail.secret import Secret

NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"
ADDRESS = r"^[^\s:/]+:\d{1,5}$"


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError(f"{value!r} has no unit; write a duration such as 5s, 10m, 7d")


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than nothing; write e.g. 10s")
    return value


def _ratio(value: object) -> object:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str):
        return parse_ratio(value)
    raise ValueError(f"{value!r} has no percent sign; write a percentage such as 2%")


def _size(value: object) -> object:
    if isinstance(value, str):
        return parse_size(value)
    raise ValueError(f"{value!r} has no unit; write a size such as 512MiB, 1GiB")


def _dollars(value: object) -> object:
    if isinstance(value, Dollars):
        return value
    if isinstance(value, str):
        return parse_dollars(value)
    raise ValueError(f"{value!r} has no currency; write an amount such as 20 USD")


def _off(value: object) -> object:
    """YAML reads a bare `off` as false."""
    return None if value is False or value == "off" else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
PositiveDuration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive)]
Ratio = Annotated[Decimal, BeforeValidator(_ratio)]
Size = Annotated[int, BeforeValidator(_size)]
Usd = Annotated[Dollars, BeforeValidator(_dollars)]
# Before a type that may be None: `off` is that.
OrOff = BeforeValidator(_off)
Name = Annotated[str, Field(pattern=NAME)]
Address = Annotated[str, Field(pattern=ADDRESS)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+[^\s/]$")]


class Model(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True)


class WithSecrets(Model):
    """Folds `x_file` or `x_env`, with `x_issued` and `x_expires`, into the Secret field `x`.

    So no other code knows how a secret is spelt.
    """

    @model_validator(mode="before")
    @classmethod
    def _fold(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        folded = dict(data)
        for name, info in cls.model_fields.items():
            if info.annotation not in (Secret, Secret | None):
                continue
            if name in folded and not isinstance(folded[name], Secret | None):
                raise ValueError(f"{name} must not stand in this file; put it in a file and name it with {name}_file")
            file, env = folded.pop(f"{name}_file", None), folded.pop(f"{name}_env", None)
            if file and env:
                raise ValueError(f"give {name}_file or {name}_env, not both")
            if file:
                folded[name] = Secret(file=Path(str(file)))
            elif env:
                folded[name] = Secret(env=str(env))
            elif info.is_required() and name not in folded:
                raise ValueError(f"{name}_file or {name}_env is missing")
            _date(folded, name, default=info.default)
        return folded


def _date(folded: dict[str, Any], name: str, *, default: object) -> None:
    """Gives the secret the dates that the file states of it."""
    dates = {}
    for key in ("issued", "expires"):
        if (value := folded.pop(f"{name}_{key}", None)) is not None:
            if not isinstance(value, date) or isinstance(value, datetime):
                raise ValueError(f"{name}_{key} {str(value)!r} is not a date; write it as 2026-10-01")
            dates[key] = value
    if not dates:
        return
    secret = folded.get(name, default)
    if not isinstance(secret, Secret):
        raise ValueError(f"{name}_{next(iter(dates))} is the date of a secret that is not named; give {name}_file too")
    if len(dates) == 2 and dates["expires"] <= dates["issued"]:
        raise ValueError(f"{name}_expires {dates['expires']} is not after {name}_issued {dates['issued']}")
    folded[name] = replace(secret, issued=dates.get("issued"), expires=dates.get("expires"))

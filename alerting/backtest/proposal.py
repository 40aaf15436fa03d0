"""Other numbers for an SLA, spelt and checked as in the file: `errors.ratio=3%`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import get_args

import yaml
from pydantic import ValidationError

from handrail.fields import Model
from handrail.quantities import Dollars, format_dollars, format_duration, format_ratio
from handrail.settings import Settings
from handrail.sla import Sla

# What the past was counted or recorded by: it says nothing of another number.
_COUNTED_BY = {
    "percentiles.median": "calls were counted up to the limits of the file",
    "percentiles.p95": "calls were counted up to the limits of the file",
    "percentiles.window": "slow calls were recorded over the window of the file",
    "slowdown.window": "what is usual was recorded over the window of the file",
    "cost.window": "costs were recorded over the window of the file",
}
_RECORDED_WHILE_ON = ("percentiles", "slowdown", "cost")


class BadProposal(Exception):
    """A change that cannot be made; the text says why and what could be."""


@dataclass(frozen=True, slots=True)
class Change:
    """One number of an SLA as it is and as it would be, both as the file spells them."""

    path: str
    now: str
    proposed: str


def changeable() -> Iterator[str]:
    """Every path that can be changed, as in the file below an SLA."""
    for section, info in Sla.model_fields.items():
        # Also of a section that is off: what it would hold is told by its type.
        for kind in (info.annotation, *get_args(info.annotation)):
            if isinstance(kind, type) and issubclass(kind, Model):
                yield from (f"{section}.{field.alias or name}" for name, field in kind.model_fields.items())


def propose(sla: Sla, texts: Sequence[str]) -> tuple[Sla, tuple[Change, ...]]:
    """As `changed`; BadProposal also for a number of which the past cannot tell anything."""
    for path in dict(_read(text) for text in texts):
        _refuse_what_the_past_cannot_tell(sla, path)
    return changed(sla, texts)


def changed(sla: Sla, texts: Sequence[str]) -> tuple[Sla, tuple[Change, ...]]:
    """The SLA with all `path=value` applied, and what that changes. BadProposal for the first that cannot be."""
    asked = dict(_read(text) for text in texts)
    sections: dict[str, object] = {"profile": sla.profile}
    for name in Sla.model_fields.keys() - sections.keys():
        given = {path.split(".", 1)[1]: _scalar(value) for path, value in asked.items() if _section(path) == name}
        section = getattr(sla, name)
        sections[name] = {**dict(_values(section)), **given} if section is not None or given else None
    try:
        proposed = Sla.model_validate(sections)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise BadProposal(f"{path}: {first['msg'].removeprefix('Value error, ')}") from error
    return proposed, tuple(Change(path, _spelt_in(sla, path), _spelt_in(proposed, path)) for path in asked)


def with_sla(settings: Settings, name: str, sla: Sla) -> Settings:
    """The settings with one SLA replaced."""
    return settings.model_copy(update={"slas": {**settings.slas, name: sla}})


def _read(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals:
        raise BadProposal(f"{text!r} is not a change; write it as errors.ratio=3%")
    known = list(changeable())
    if path not in known:
        near = difflib.get_close_matches(path, known, n=3, cutoff=0.6)
        hint = f"; did you mean {' or '.join(near)}?" if near else f". There are: {', '.join(known)}"
        raise BadProposal(f"{path!r} is no number of an SLA{hint}")
    return path, value.strip()


def _refuse_what_the_past_cannot_tell(sla: Sla, path: str) -> None:
    section = _section(path)
    reason = _COUNTED_BY.get(path)
    if section in _RECORDED_WHILE_ON and getattr(sla, section) is None:
        reason = f"{section} is off, and its past is recorded only while it is on"
    if reason:
        raise BadProposal(f"{path} cannot be tried on the past: {reason}. Set it in the file and look again later")


def _section(path: str) -> str:
    return path.split(".", 1)[0]


def _values(section: object) -> Iterator[tuple[str, object]]:
    """By the names of the file; nothing of a section that is off."""
    if isinstance(section, Model):
        for name, field in type(section).model_fields.items():
            yield field.alias or name, getattr(section, name)


def _scalar(text: str) -> object:
    """As YAML reads it, so that 4 is a number and 4s is not."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _spelt_in(sla: Sla, path: str) -> str:
    """As the file spells it."""
    section, key = path.split(".", 1)
    value = dict(_values(getattr(sla, section))).get(key, "off")
    if value is None:
        return "off"
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Dollars):
        return format_dollars(value)
    return format_ratio(value) if isinstance(value, Decimal) else str(value)

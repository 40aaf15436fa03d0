"""Other numbers for an SLA, spelt and checked as in the file: `errors.ratio=3%`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import yaml
from pydantic import ValidationError

from handrail.quantities import format_duration, format_ratio
from handrail.settings import Settings
from handrail.sla import Sla


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
        for name, field in info.annotation.model_fields.items():  # type: ignore[union-attr]  # every section is a model
            yield f"{section}.{field.alias or name}"


def propose(sla: Sla, texts: Sequence[str]) -> tuple[Sla, tuple[Change, ...]]:
    """The SLA with all `path=value` applied, and what that changes. BadProposal for the first that cannot be."""
    sections = {name: dict(_values(getattr(sla, name))) for name in Sla.model_fields}
    before = {f"{section}.{key}": value for section, values in sections.items() for key, value in values.items()}
    asked: dict[str, str] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        path = path.strip()
        if not equals:
            raise BadProposal(f"{text!r} is not a change; write it as errors.ratio=3%")
        if path not in before:
            raise BadProposal(_unknown(path, before))
        section, key = path.split(".", 1)
        asked[path] = value.strip()
        sections[section][key] = _scalar(value)
    try:
        proposed = Sla.model_validate(sections)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise BadProposal(f"{path}: {first['msg'].removeprefix('Value error, ')}") from error
    after = {f"{section}.{key}": value for section in sections for key, value in _values(getattr(proposed, section))}
    return proposed, tuple(Change(path, spelt(before[path]), spelt(after[path])) for path in asked)


def with_sla(settings: Settings, name: str, sla: Sla) -> Settings:
    """The settings with one SLA replaced."""
    return settings.model_copy(update={"slas": {**settings.slas, name: sla}})


def spelt(value: object) -> str:
    """As the file spells it."""
    if isinstance(value, timedelta):
        return format_duration(value)
    return format_ratio(value) if isinstance(value, Decimal) else str(value)


def _values(section: object) -> Iterator[tuple[str, object]]:
    for name, field in type(section).model_fields.items():  # type: ignore[attr-defined]  # a section is a model
        yield field.alias or name, getattr(section, name)


def _scalar(text: str) -> object:
    """As YAML reads it, so that 4 is a number and 4s is not."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _unknown(path: str, known: dict[str, object]) -> str:
    near = difflib.get_close_matches(path, known, n=3, cutoff=0.6)
    if near:
        return f"{path!r} is no number of an SLA; did you mean {' or '.join(near)}?"
    return f"{path!r} is no number of an SLA. There are: {', '.join(known)}"

"""Profiles: limits by name, below what a file says itself."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from handrail.profiles import PROFILES
from handrail.settings import SettingsError, parse
from handrail.sla import Sla

SOURCES = "sources: {n8n: [{name: main, url: http://n8n.test, api_key_env: K}]}\n"


def sla(text: str) -> Sla:
    """The SLA that is written so."""
    return parse(f"{SOURCES}slas: {{default: {text}}}", environ={}).slas["default"]


def test_the_default_profile_changes_nothing() -> None:
    """Naming it is the same as naming none."""
    assert sla("{profile: production-support}") == sla("{}") == Sla()


def test_a_profile_sets_its_limits_and_no_others() -> None:
    """What it does not name keeps its default."""
    checklist, incident = sla("{profile: checklist}"), sla("{profile: incident-response}")
    assert (checklist.errors.ratio, checklist.errors.window) == (Decimal("0.05"), timedelta(minutes=15))
    assert (checklist.latency, checklist.tokens) == (Sla().latency, Sla().tokens)
    assert incident.tokens.increase == Decimal(2)
    assert (incident.tokens.baseline_days, incident.errors) == (7, Sla().errors)


def test_what_the_file_says_comes_first() -> None:
    """Limit by limit, also within a section."""
    mixed = sla("{profile: checklist, errors: {ratio: 3%, min_calls: 4}}").errors
    assert (mixed.ratio, mixed.window, mixed.min_calls) == (Decimal("0.03"), timedelta(minutes=15), 4)


def test_a_mistake_beside_a_profile_is_told_where_it_stands() -> None:
    """The profile's own limits have no line."""
    with pytest.raises(SettingsError) as error:
        sla("{profile: checklist, errors: 3%}")
    assert [(problem.path, problem.line) for problem in error.value.problems] == [("slas.default.errors", 2)]


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_one_that_a_file_could_say(name: str) -> None:
    """Its limits are settings of an SLA, and within their bounds."""
    assert sla(f"{{profile: {name}}}").profile == name

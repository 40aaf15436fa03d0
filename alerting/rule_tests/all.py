"""Every claim about every alert of a file. One line for each module of claims."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from alerting.rule_tests import (
    agent_levels,
    budget,
    cost,
    errors,
    latency,
    pipeline,
    quiet_hours,
    silence,
    slow_calls,
    tokens,
)
from alerting.rule_tests.case import Case
from handrail.settings import Settings
from handrail.sla import Sla

# Claims that are made anew for every SLA.
OF_AN_SLA: tuple[Callable[[str, Sla], Iterator[Case]], ...] = (
    slow_calls.cases,
    errors.cases,
    tokens.cases,
    budget.cases,
    agent_levels.cases,
    silence.cases,
    quiet_hours.cases,
    latency.cases,
    cost.cases,
)


def cases(settings: Settings) -> Iterator[Case]:
    """The claims, SLA by SLA, then those about Handrail itself."""
    for name, sla in settings.slas.items():
        for of_an_sla in OF_AN_SLA:
            yield from of_an_sla(name, sla)
    yield from agent_levels.states()
    yield from pipeline.cases()

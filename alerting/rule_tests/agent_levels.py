"""The alerts of an agent that have one limit each: executions, answers, hand-offs, and what is worth knowing of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import ROUND_FLOOR

from alerting.rule_tests.case import TARGET, Case, Series, watched
from alerting.rule_tests.levels import Reading, Stamp, World
from handrail.sla import Sla

AGENT = "proved"
_GROUPS = ("handrail-agents", "handrail-sla-")
_STATE = ("handrail-agents", "handrail-agent-state")
_LABELS = {**TARGET, "agent": AGENT}
_RECEIVER = {"job": "handrail-receiver", "instance": "receiver", "agent": AGENT}
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)


def cases(name: str, sla: Sla) -> Iterator[Case]:
    """The claims for one SLA."""
    yield from _stuck(name, sla)
    for limit, metric, most in (
        ("model_calls", "handrail_execution_model_calls_max", sla.runaway.model_calls),
        ("tool_calls", "handrail_execution_tool_calls_max", sla.runaway.tool_calls),
        ("tokens", "handrail_execution_tokens_max", sla.runaway.tokens),
    ):
        yield from Reading(
            alert="AgentRunawayLoop",
            groups=_GROUPS,
            metric=metric,
            labels=_LABELS,
            good=0,
            edge=most,
            bad=most + 1,
            subject={"agent": AGENT, "sla": name, "limit": limit},
            world=_of(name),
        ).cases()
    yield from _low_confidence(name, sla)
    yield from _handoffs(name, sla)


def states() -> Iterator[Case]:
    """The claims that are the same for every SLA."""
    for metric, labels in (("handrail_agent_enabled", _LABELS), ("handrail_agent_flag_enabled", _RECEIVER)):
        yield from Reading(
            alert="AgentDisabled",
            groups=_STATE,
            metric=metric,
            labels=labels,
            good=1,
            edge=1,
            bad=0,
            subject={"agent": AGENT},
            world=_of("default"),
        ).cases()
    yield from Reading(
        alert="AgentWorkflowChanged",
        groups=_STATE,
        metric="handrail_workflow_changes_total",
        labels=_LABELS,
        good=4,
        edge=4,
        bad=5,
        lasts=_HOUR,
        subject={"agent": AGENT},
        world=_of("default"),
    ).cases()
    yield from Reading(
        alert="AgentTokenBaselineNotReady",
        groups=_STATE,
        metric="agent:handrail_tokens_baseline:ready",
        labels={"agent": AGENT},
        good=1,
        edge=1,
        bad=0,
        after=_HOUR,
        step=5 * _MINUTE,
        subject={"agent": AGENT},
        world=_of("default"),
    ).cases()


def _of(sla: str) -> World:
    return lambda length: watched(AGENT, sla, length)


def _stuck(name: str, sla: Sla) -> Iterator[Case]:
    step = sla.stuck.after / 5
    return Stamp(
        alert="AgentStuck",
        groups=_GROUPS,
        metric="handrail_oldest_running_call_timestamp_seconds",
        labels=_LABELS,
        stamp=step,
        reached=step + sla.stuck.after,
        renewed=step + sla.stuck.after,
        step=step,
        subject={"agent": AGENT, "sla": name},
        world=_of(name),
    ).cases()


def _low_confidence(name: str, sla: Sla) -> Iterator[Case]:
    limits = sla.confidence
    answers = max(1000, limits.min_answers)
    allowed = int((limits.low_share * answers).to_integral_value(ROUND_FLOOR))
    step = limits.window / 40

    def world(length: int) -> tuple[Series, ...]:
        all_answers = [0.0 if at < 5 else float(answers) for at in range(length)]
        return (*watched(AGENT, name, length), Series("handrail_call_confidence_ratio_count", _LABELS, all_answers))

    return Reading(
        alert="AgentLowConfidence",
        groups=_GROUPS,
        metric="handrail_low_confidence_calls_total",
        labels=_LABELS,
        good=0,
        edge=allowed,
        bad=allowed + 1,
        lasts=limits.window,
        step=step,
        subject={"agent": AGENT, "sla": name},
        world=world,
    ).cases()


def _handoffs(name: str, sla: Sla) -> Iterator[Case]:
    """Without a past, the least number of hand-offs is the limit."""
    least = sla.handoff.min_handoffs
    return Reading(
        alert="AgentHandoffsRising",
        groups=_GROUPS,
        metric="handrail_handoffs_total",
        labels={**_RECEIVER, "reason": "tool_error"},
        good=0,
        edge=least - 1,
        bad=least,
        lasts=_HOUR,
        subject={"agent": AGENT, "sla": name},
        world=_of(name),
    ).cases()

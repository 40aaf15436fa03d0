"""When each alert fires, in a sentence with the team's numbers, for those who do not read PromQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal

from alerting.alert_rules import AlertRule
from handrail.quantities import format_dollars, format_duration, format_ratio
from handrail.settings import Settings
from handrail.sla import Objective, Sla

Sentence = Callable[[Sla, Mapping[str, str]], str]


def sentence(rule: AlertRule, settings: Settings) -> str:
    """When the alert fires. For one that is about no SLA, its summary says it."""
    sla = settings.slas.get(rule.sla or "")
    about = _SENTENCES.get(rule.name)
    if sla is None or about is None:
        lasting = f", for {format_duration(rule.for_)} at least" if rule.for_ else ""
        return f"{rule.annotations['summary'].removesuffix('.')}{lasting}."
    return f"Fires when {about(sla, rule.labels)}."


def limit(alertname: str, labels: Mapping[str, str], sla: Sla) -> str | None:
    """What an SLA makes of the alert, in a sentence without an end; None for an alert that is about no SLA."""
    about = _SENTENCES.get(alertname)
    try:
        return about(sla, labels) if about else None
    except KeyError:
        return None  # an alert of that name without the labels that ours has


def _slow_call_streak(sla: Sla, _: Mapping[str, str]) -> str:
    latency = sla.latency
    row = "a call" if latency.consecutive_calls == 1 else f"{latency.consecutive_calls} calls in a row"
    return f"{row} took longer than {_time(latency.threshold)}; it ends {_time(latency.hold)} after the last such call"


def _error_ratio(sla: Sla, _: Mapping[str, str]) -> str:
    errors = sla.errors
    least = []
    if errors.min_calls > 1:
        least.append(f"of at least {errors.min_calls} calls")
    if errors.min_errors > 1:
        least.append(f"with at least {errors.min_errors} failures")
    guards = f", {' and '.join(least)}" if least else "; one failed call of few is enough"
    return f"more than {format_ratio(errors.ratio)} of the calls of the last {_time(errors.window)} failed{guards}"


def _tokens(sla: Sla, labels: Mapping[str, str]) -> str:
    tokens = sla.tokens
    if labels.get("limit") == "per_call" and tokens.per_call is not None:
        lasting = f", and has for {_time(tokens.for_)}" if tokens.for_ else ""
        return f"a call of the last hour used, on average, more than {tokens.per_call:,} tokens{lasting}"
    what = "the last hour used" if labels.get("per") == "hour" else "a call of the last hour used, on average,"
    lasting = f", and has for {_time(tokens.for_)}" if tokens.for_ else ""
    return (
        f"{what} over {format_ratio(tokens.increase)} more tokens than is usual at this hour (the middle of the last "
        f"{tokens.baseline_days} days){lasting}, unless {tokens.min_tokens:,} tokens an hour or fewer are usual"
    )


def _latency(sla: Sla, labels: Mapping[str, str]) -> str:
    if labels.get("limit") == "usual" and (usual := sla.slowdown):
        return (
            f"the calls of the last {_time(usual.window)}, at least {usual.min_calls} of them, took on average over "
            f"{format_ratio(usual.increase)} longer than is usual at this hour (the middle of the last "
            f"{usual.baseline_days} days)"
        )
    percentiles = sla.percentiles
    limit = (
        next((one for one in percentiles.limits() if one.name == labels.get("limit")), None) if percentiles else None
    )
    if percentiles is None or limit is None:
        return "never: it is off"
    return (
        f"more than {format_ratio(limit.share)} of the calls of the last {_time(percentiles.window)} took longer than "
        f"{_time(limit.threshold)}, of at least {percentiles.min_calls} calls"
    )


def _cost(sla: Sla, labels: Mapping[str, str]) -> str:
    cost, per = sla.cost, labels.get("per")
    if cost is None:
        return "never: it is off"
    if per == "day" and cost.per_day is not None:
        return f"the last 24 hours cost more than {format_dollars(cost.per_day)}, as far as that is known"
    increase = cost.increase if per == "window" else cost.per_call_increase
    what = "an agent" if per == "window" else "a call, on average,"
    return (
        f"{what} cost over {format_ratio(increase or Decimal())} more in the last {_time(cost.window)} than in the "
        f"{_time(cost.window)} before, unless that was {format_dollars(cost.min_cost)} or less"
    )


def _baseline(_: Sla, labels: Mapping[str, str]) -> str:
    if labels.get("baseline") == "cost":
        return "the cost of two whole windows is not known, for an hour at least"
    return "fewer than three days are known of how long calls take at this hour, for an hour at least"


def _budget(sla: Sla, labels: Mapping[str, str]) -> str:
    objective = sla.objective
    if labels.get("pace") == "quiet":
        return (
            f"an agent with fewer than {objective.min_calls} calls an hour failed more than half of its calls of the "
            "last day, at least three"
        )
    paces = " or ".join(_paces(objective, labels["severity"]))
    return (
        f"the error budget ({format_ratio(objective.availability)} over {_time(objective.window)}) is spent too fast: "
        f"{paces} failed, and still do, of at least {objective.min_calls} calls"
    )


def _paces(objective: Objective, severity: str) -> list[str]:
    allowed = 1 - objective.availability
    return [
        f"more than {_rounded(factor * allowed)} of the calls of {_time(rate.long)}"
        for rate, factor in objective.burn_rates()
        if rate.severity == severity
    ]


def _stuck(sla: Sla, _: Mapping[str, str]) -> str:
    return f"an execution has been running for more than {_time(sla.stuck.after)}"


def _runaway(sla: Sla, labels: Mapping[str, str]) -> str:
    limit = labels["limit"]
    return f"one execution took more than {getattr(sla.runaway, limit):,} {limit.replace('_', ' ')}"


def _confidence(sla: Sla, _: Mapping[str, str]) -> str:
    return (
        f"more than {format_ratio(sla.confidence.low_share)} of the answers of the last {_time(sla.confidence.window)} "
        f"stated a confidence below {format_ratio(sla.handoff.min_confidence)}, of at least "
        f"{sla.confidence.min_answers} answers"
    )


def _handoffs(sla: Sla, _: Mapping[str, str]) -> str:
    return (
        f"the hand-offs of the last hour were at least {sla.handoff.min_handoffs} and over "
        f"{format_ratio(sla.handoff.increase)} more than in an average hour of the last 7 days"
    )


def _silent(sla: Sla, labels: Mapping[str, str]) -> str:
    silent = sla.silent
    if silent is None:
        return "never: it is off"
    if labels.get("basis") == "schedule":
        return f"by the agent's schedule, its own or n8n's, a call is more than {_time(silent.grace)} late"
    return (
        f"no schedule is known and the last hour was without a call, where at least {silent.min_calls} are usual at "
        "this hour of the week, by the last four weeks"
    )


_SENTENCES: Mapping[str, Sentence] = {
    "AgentSlowCallStreak": _slow_call_streak,
    "AgentErrorRatioHigh": _error_ratio,
    "AgentTokenUsageHigh": _tokens,
    "AgentErrorBudgetBurn": _budget,
    "AgentStuck": _stuck,
    "AgentRunawayLoop": _runaway,
    "AgentSilent": _silent,
    "AgentLowConfidence": _confidence,
    "AgentHandoffsRising": _handoffs,
    "AgentLatencyHigh": _latency,
    "AgentCostHigh": _cost,
    "AgentBaselineNotReady": _baseline,
}


def _time(value: timedelta) -> str:
    return format_duration(value)


def _rounded(ratio: Decimal) -> str:
    return format_ratio(ratio.quantize(Decimal("0.001")) if ratio > Decimal("0.01") else ratio)

"""Other numbers are spelt and checked as in the file, and the rewritten rules read nothing that depends on them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import promql_parser
import pytest

from alerting.alert_rules import Rules, rules_of
from alerting.backtest.inlined import Inliner, metrics_of
from alerting.backtest.proposal import BadProposal, changeable, propose, with_sla
from handrail.quantities import Dollars
from handrail.settings import Settings
from handrail.sla import Sla
from tests.every_limit import sla as every_limit_of_an_sla


def test_a_change_is_read_and_spelt_as_in_the_file() -> None:
    """Nothing else of the SLA changes."""
    proposed, changes = propose(Sla(), ["errors.ratio = 3.50%", "tokens.for=1h", "latency.consecutive_calls=5"])
    assert proposed.errors.ratio == Decimal("0.035")
    assert proposed.tokens.for_ == timedelta(hours=1)
    assert proposed.latency.consecutive_calls == 5
    assert proposed.objective == Sla().objective
    assert [(each.path, each.now, each.proposed) for each in changes] == [
        ("errors.ratio", "2%", "3.5%"),
        ("tokens.for", "15m", "1h"),
        ("latency.consecutive_calls", "3", "5"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("errors.ratio", "write it as errors.ratio=3%"),
        ("errors.ration=3%", "did you mean errors.ratio"),
        ("speed=3%", "There are: latency.threshold, latency.consecutive_calls"),
        ("errors.ratio=3", "errors.ratio: 3 has no percent sign"),
        ("errors.ratio=100%", "could never fire"),
        ("latency.threshold=4", "latency.threshold: 4 has no unit"),
        ("latency.consecutive_calls=many", "latency.consecutive_calls: "),
        ("latency.threshold=[", "latency.threshold: '[' is not a duration"),
        ("tokens.baseline_days=2", "tokens.baseline_days: "),
        ("slowdown.increase=50%", "slowdown is off, and its past is recorded only while it is on"),
    ],
)
def test_what_cannot_be_changed_is_said(text: str, says: str) -> None:
    """With what could be."""
    with pytest.raises(BadProposal) as refused:
        propose(Sla(), [text])
    assert says in str(refused.value)


NOT_OF_THE_PAST = {"percentiles.median", "percentiles.p95", "percentiles.window", "slowdown.window", "cost.window"}


@pytest.mark.parametrize("path", sorted(NOT_OF_THE_PAST))
def test_what_the_past_was_counted_by_cannot_be_tried(path: str) -> None:
    """A replay would find no series and say that nothing would have fired."""
    with pytest.raises(BadProposal, match=r"past: [a-z ]+ of the file"):
        propose(every_limit_of_an_sla(), [f"{path}=9s"])


@pytest.fixture(scope="module")
def numbers(example: Settings) -> Iterator[tuple[Rules, Rules]]:
    """The rules of the example with every limit on, and of one in which every number is another."""
    base = every_limit_of_an_sla()
    twice = {
        "objective.availability": "98.5%",
        "objective.window": "21d",
        "tokens.baseline_days": "5",
        "slowdown.baseline_days": "5",
        "handoff.min_confidence": "70%",
        "confidence.low_share": "30%",
        "errors.ratio": "4%",
    }
    texts = []
    for path in set(changeable()) - NOT_OF_THE_PAST:
        section, name = path.split(".")
        now = getattr(getattr(base, section), "for_" if name == "for" else name)
        doubled = f"{2 * now:d}" if isinstance(now, int) else ""
        if isinstance(now, Dollars):
            doubled = f"{2 * now} USD"
        if isinstance(now, timedelta):
            doubled = f"{2 * now // timedelta(seconds=1)}s"
        texts.append(f"{path}={twice.get(path) or doubled or '60%'}")
    other, changes = propose(base, texts)
    assert all(change.now != change.proposed for change in changes)
    yield rules_of(with_sla(example, "default", base)), rules_of(with_sla(example, "default", other))


def test_no_stored_series_depends_on_a_number_of_an_sla(numbers: tuple[Rules, Rules]) -> None:
    """What an alert reads of the past after inlining was recorded by the same rule whatever the numbers were."""
    now, other = numbers
    recorded = [{rule.name: rule.expr for rule in rules.records} for rules in numbers]
    for before, after in zip(now.alerts, other.alerts, strict=True):
        reads = [metrics_of(Inliner(rules).inlined(rule.expr)) for rules, rule in ((now, before), (other, after))]
        assert reads[0] == reads[1]
        for name in reads[0] - {"agent:handrail_agent_info:bridged"}:
            if before.sla and ":" in name:
                # They differ in how long a counter is bridged while the exporter restarts, and in nothing else.
                assert recorded[0][name].replace("[5m]", "[10m]") == recorded[1][name], name


def test_inlined_rules_are_promql(numbers: tuple[Rules, Rules]) -> None:
    """And an expression without recorded series stays as it is."""
    for rules in numbers:
        for rule in rules.alerts:
            promql_parser.parse(Inliner(rules).inlined(rule.expr))
    (stuck,) = (rule for rule in numbers[0].alerts if rule.name == "AgentStuck")
    assert Inliner(numbers[0]).inlined(stuck.expr) == stuck.expr


def test_what_is_off_stays_off_until_a_number_of_it_is_asked_for() -> None:
    """Then the rest of it is as if the file said nothing else."""
    off = Sla.model_validate({"silent": "off"})
    assert propose(off, ["errors.ratio=3%"])[0].silent is None
    proposed, (change,) = propose(off, ["silent.grace=30m"])
    assert proposed.silent is not None
    assert proposed.silent.grace == timedelta(minutes=30)
    assert (change.now, change.proposed) == ("off", "30m")

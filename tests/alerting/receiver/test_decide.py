"""What a notification means, given any state: always one reason of a closed set, and never two open episodes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.receiver import decide
from alerting.receiver.decide import Known, Policy, Reason, Remembered
from alerting.receiver.payload import Identity, Told, parse, split
from tests.thorough import examples

A, B = "a" * 16, "b" * 16
POLICY = Policy({"invoice": frozenset({"AgentErrorRatioHigh"})}, late_s=315)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0


def told(*alerts: tuple[str, str, float, float], confirmed: bool = False, whole: bool = True, **changes) -> Told:
    """Of alerts as (fingerprint, status, starts, ends), the last two in seconds before now."""
    labels = {"alertname": "AgentErrorRatioHigh", "agent": "invoice", "severity": "critical"}
    listed = [
        {
            "status": status,
            "labels": labels,
            "annotations": {},
            "startsAt": datetime.fromtimestamp(NOW - starts, UTC).isoformat(),
            "endsAt": datetime.fromtimestamp(NOW - ends, UTC).isoformat(),
            "fingerprint": fingerprint,
        }
        for fingerprint, status, starts, ends in alerts
    ]
    body = {
        "version": "4",
        "groupKey": "g",
        "receiver": "receiver",
        "groupLabels": {"alertname": "AgentErrorRatioHigh", "agent": "invoice"},
        "externalURL": "http://a",
        "alerts": listed,
    } | changes
    return Told("k", parse(json.dumps(body).encode()), whole=whole, confirmed=confirmed)


def fires(fingerprint: str, since: float = HOUR) -> tuple[str, str, float, float]:
    return fingerprint, "firing", since, 0


def ended(fingerprint: str, ends: float = 1, since: float = HOUR) -> tuple[str, str, float, float]:
    return fingerprint, "resolved", since, ends


def firing(since: float = HOUR) -> Remembered:
    return Remembered(firing=True, starts_at=NOW - since)


def over(ends: float, seen: float | None = None) -> Remembered:
    at = NOW - ends
    return Remembered(False, NOW - 2 * HOUR, ends_at=at, ended_seen_at=NOW - (ends if seen is None else seen))


def known(is_open: bool, **alerts: Remembered) -> Known:
    named = {{"a": A, "b": B}[name]: alert for name, alert in alerts.items()}
    return Known(episode=1, is_open=is_open, alerts=named, sender="http://a", group="g")


CASES = [
    (told(fires(A)), Known(), Reason.FIRST_FIRING),
    (told(ended(A)), Known(), Reason.RESOLVED_UNSEEN),
    (told(fires(A, since=10)), known(False, a=over(60)), Reason.FIRES_AGAIN),
    (told(fires(A)), known(False, a=over(60)), Reason.LATE_FIRING),
    (told(fires(A)), known(False, a=over(400)), Reason.CAME_BACK),
    (told(fires(A), confirmed=True), known(False, a=over(60)), Reason.CAME_BACK),
    (told(fires(A), fires(B)), known(False, a=over(60)), Reason.FIRES_AGAIN),
    (told(ended(A)), known(False, a=over(60)), Reason.RESOLVED_AGAIN),
    (told(fires(A)), known(True, a=firing()), Reason.SAME_STATE),
    (told(fires(A), externalURL="http://b"), known(True, a=firing()), Reason.COPY),
    (told(fires(A), groupKey="h"), known(True, a=firing()), Reason.REGROUPED),
    (told(fires(A, since=7 * HOUR)), known(True, a=firing()), Reason.SAME_STATE),
    (told(fires(A)), known(True, a=firing(), b=firing()), Reason.FEWER_TOLD),
    (told(fires(A), truncatedAlerts=1), known(True, a=firing(), b=firing()), Reason.TRUNCATED),
    (told(fires(A), fires(B)), known(True, a=firing()), Reason.ALERT_JOINED),
    (told(fires(A), ended(B)), known(True, a=firing(), b=firing()), Reason.ALERT_ENDED),
    (told(ended(A), fires(B)), known(True, a=firing()), Reason.ALERTS_CHANGED),
    (told(fires(A), fires(B)), known(True, a=firing(), b=over(60)), Reason.LATE_FIRING),
    (told(ended(A)), known(True, a=firing()), Reason.ALL_RESOLVED),
    (told(ended(A), ended(B)), known(True, a=firing(), b=firing()), Reason.ALL_RESOLVED),
    (told(ended(A)), known(True, a=firing(), b=firing()), Reason.REST_NOT_TOLD),
    (told(ended(A), truncatedAlerts=1), known(True, a=firing()), Reason.TRUNCATED_RESOLVED),
    (told(ended(A), whole=False), known(True, a=firing(), b=firing()), Reason.OTHERS_FIRE),
    (told(ended(A, ends=2 * HOUR, since=3 * HOUR)), known(True, a=firing()), Reason.RESOLVED_LATE),
    (told(ended(A)), Known(episode=1, is_open=True), Reason.ALL_RESOLVED),
]


@pytest.mark.parametrize(("what", "state", "reason"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_each_kind_of_notification_has_a_reason_of_its_own(what, state, reason):
    """Copies, repeats, late ones, truncated ones and those that tell of fewer alerts are told apart."""
    assert decide.decide(what, state, POLICY, NOW).reason is reason


def test_every_reason_can_happen_and_belongs_to_a_verdict():
    """None stands in the metrics that no notification can reach; each is a label and a sentence."""
    others = {Reason.INFORMATION, Reason.WATCHDOG_ENDED, Reason.WATCHDOG_HEARD}
    assert {reason for _, _, reason in CASES} | others == set(Reason)
    for reason in Reason:
        assert reason.verdict in get_args(decide.Verdict)
        assert re.fullmatch(r"[a-z_]+", reason.label)
        assert len(reason.text) > 10


FINGERPRINTS = st.sampled_from([A, B, "c" * 16])
SECONDS = st.integers(0, 7 * 3600).map(float)
REMEMBERED = st.builds(
    Remembered,
    firing=st.booleans(),
    starts_at=SECONDS.map(lambda s: NOW - s),
    ends_at=st.none() | SECONDS.map(lambda s: NOW - s),
    ended_seen_at=st.none() | SECONDS.map(lambda s: NOW - s),
    held_at=st.none() | SECONDS.map(lambda s: NOW - s),
)
KNOWN = st.builds(
    Known,
    episode=st.integers(0, 3),
    is_open=st.booleans(),
    alerts=st.dictionaries(FINGERPRINTS, REMEMBERED),
    sender=st.sampled_from(["", "http://a", "http://b"]),
    group=st.sampled_from(["", "g", "h"]),
)
ALERT = st.tuples(FINGERPRINTS, st.sampled_from(["firing", "resolved"]), SECONDS, SECONDS)


@st.composite
def anything(draw) -> Told:
    """Any notification, also one that lists an alert twice or ends before it begins."""
    name = draw(st.sampled_from(["AgentErrorRatioHigh", decide.WATCHDOG]))
    changes = {
        "truncatedAlerts": draw(st.integers(0, 2)),
        "externalURL": draw(st.sampled_from(["http://a", "http://b"])),
        "groupLabels": {"alertname": name},
    }
    alerts = draw(st.lists(ALERT, min_size=1, max_size=4))
    return told(*alerts, confirmed=draw(st.booleans()), whole=draw(st.booleans()), **changes)


@pytest.mark.property
@settings(max_examples=examples(150))
@given(what=anything(), state=KNOWN)
def test_anything_is_decided(what, state):
    """Any notification in any state: a reason, actions that fit the state, and no agent is ever switched on."""
    decision = decide.decide(what, state, POLICY, NOW)
    assert isinstance(decision.reason, Reason)
    kinds = {type(action) for action in decision.actions}
    if decide.OpenIncident in kinds:
        assert not state.is_open
    if kinds & {decide.Change, decide.Resolve, decide.Repeat}:
        assert state.is_open
    if decide.SwitchOff in kinds:
        assert what.notification.firing
        assert kinds & {decide.OpenIncident, decide.Change}
    after = dict(state.alerts) | dict(decision.alerts)
    if decide.Resolve in kinds:
        assert not any(alert.firing for alert in after.values())
    assert decide.decide(what, state, POLICY, NOW) == decision


@pytest.mark.property
@settings(max_examples=examples(100))
@given(what=anything(), state=KNOWN)
def test_the_same_notification_once_more_changes_nothing(what, state):
    """A second copy right after the first opens, comments, closes and switches off nothing."""
    fingerprints = [alert.fingerprint for alert in what.notification.alerts]
    if len(set(fingerprints)) < len(fingerprints) or what.confirmed:
        return
    first = decide.decide(what, state, POLICY, NOW)
    verdict = first.reason.verdict
    is_open = {"open": True, "resolve": False}.get(verdict, state.is_open)
    after = Known(
        episode=state.episode + (verdict == "open"),
        is_open=is_open,
        alerts=dict(state.alerts) | dict(first.alerts),
        sender=what.notification.external_url,
        group=what.notification.group_key,
    )
    second = decide.decide(what, after, POLICY, NOW)
    assert second.reason.verdict in {"repeat", "hold", "ask", "ignore", "heartbeat"}, (first.reason, second.reason)


def test_chosen_labels_make_the_incident():
    """By default the alert's name and its group; with `incident_labels` exactly those, whatever the group is."""
    both = told(fires(A), fires(B)).notification
    first, second = both.alerts
    other = second.model_copy(update={"labels": {**second.labels, "severity": "warning"}})
    mixed = both.model_copy(update={"alerts": (first, other)})
    assert len(split(mixed, Identity("team"))) == 1
    parts = split(mixed, Identity("team", ("agent", "severity")))
    assert [part.notification.alerts for part in parts] == [(first,), (other,)]
    regrouped = mixed.model_copy(update={"group_key": "else", "group_labels": {"agent": "invoice"}})
    assert [part.key for part in split(regrouped, Identity("team", ("agent", "severity")))] == [p.key for p in parts]
    assert split(mixed, Identity("team"))[0].key != split(mixed, Identity("other team"))[0].key

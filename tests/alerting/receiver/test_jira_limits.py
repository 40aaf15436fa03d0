"""Rate limits are kept as Jira asks, and a refused login says what to do without saying the token."""

from __future__ import annotations

import json

import pytest

from alerting.receiver.jira.limits import pause_of
from alerting.receiver.schema import outbox

TWO = ("14f2e3b0c1d2e3f4", "24f2e3b0c1d2e3f4")


def errors(bench) -> list[str]:
    return [row.last_error for row in bench.rows(outbox) if row.last_error]


@pytest.mark.parametrize("after", ["40", "Mon, 23 Nov 2026 12:00:40 GMT"])
def test_retry_after_is_kept_as_seconds_and_as_a_date(bench, notification, after):
    """Not a second sooner."""
    bench.jira.limit(under="POST", retry_after=after, ratelimit_reason="jira-quota-tenant-based")
    bench.alert(notification())
    bench.later(38, step=19)
    assert bench.jira.issues == []
    bench.later(5)
    assert len(bench.jira.issues) == 1


@pytest.mark.parametrize(
    ("reason", "meanwhile"),
    [("jira-per-issue-on-write", 1), ("jira-burst-based", 0), ("jira-quota-global-based", 0)],
)
def test_what_pauses_depends_on_the_reason(bench, notification, reason, meanwhile):
    """A limit of one ticket does not hold up the ticket of another incident; the others do."""
    bench.jira.limit(under="POST", retry_after="60", ratelimit_reason=reason)
    bench.alert(notification())
    bench.drain()
    bench.alert(notification(alertname="AgentStuck"))
    bench.later(20, step=10)
    assert len(bench.jira.issues) == meanwhile
    bench.later(70, step=10)
    assert len(bench.jira.issues) == 2


def test_a_burst_limit_holds_up_its_own_kind_of_request_only(bench, notification):
    """Creations wait, comments go on."""
    bench.alert(notification())
    bench.drain()
    bench.jira.limit(under="POST /rest/api/3/issue", retry_after="60", ratelimit_reason="jira-burst-based")
    bench.alert(notification(alertname="AgentStuck"))
    bench.drain()
    bench.alert(notification(fingerprints=TWO))
    bench.later(10)
    assert (len(bench.jira.issues), len(bench.jira.issues[0].comments)) == (1, 1)


def test_data_centers_zero_is_no_wait(bench, notification):
    """It stands on every answer there."""
    bench.on("datacenter")
    bench.alert(notification())
    bench.drain()
    assert len(bench.jira.issues) == 1


def test_near_a_limit_requests_come_slower(bench, notification):
    """A second apart."""
    bench.jira.near_limit = True
    before = bench.clock.elapsed
    bench.alert(notification())
    bench.drain()
    assert bench.clock.elapsed - before >= 1


def test_a_limit_without_a_number_leaves_the_wait_to_the_outbox(clock):
    """Nothing is made up."""
    assert pause_of(429, {}, clock.now()).seconds is None
    assert pause_of(429, {"retry-after": "soon"}, clock.now()).seconds is None
    assert pause_of(503, {"retry-after": "99999999"}, clock.now()).seconds == 3600


def test_a_refused_token_pauses_the_lane_and_says_what_to_do(bench, notification, tmp_path):
    """One request a minute, not one per item; a token in its place is used at once."""
    secret = tmp_path / "secrets" / "jira"
    secret.write_text("expired-token")
    asked = []
    authenticated = bench.jira._authenticated
    bench.jira._authenticated = lambda request: (asked.append(request.path), authenticated(request))[1]
    for name in ("AgentErrorRatioHigh", "AgentStuck", "AgentTokenUsageHigh"):
        bench.alert(notification(alertname=name))
    bench.later(50, step=5)
    assert len(asked) == 1
    (error,) = errors(bench)
    for part in ("HTTP 401", "AUTHENTICATED_FAILED", "expired", str(secret), "api.atlassian.com/ex/jira/{cloudId}"):
        assert part in error
    assert "expired-token" not in json.dumps([row._asdict() for row in bench.rows(outbox)], default=str)
    secret.write_text("jira-token")
    bench.later(300, step=5)
    assert len(bench.jira.issues) == 3


def test_a_refused_token_of_data_center_speaks_of_its_own_kind(bench, notification, tmp_path):
    """A personal access token, and no word of Atlassian's gateway."""
    bench.on("datacenter")
    (tmp_path / "secrets" / "jira").write_text("revoked")
    bench.alert(notification())
    bench.drain()
    (error,) = errors(bench)
    assert "personal access token" in error and "api.atlassian.com" not in error


def test_a_missing_permission_is_named(bench, notification):
    """403 is not the token's fault."""
    bench.jira.faults.set("forbidden")
    bench.alert(notification())
    bench.drain()
    (error,) = errors(bench)
    assert "docs/jira.md" in error and "project OPS" in error

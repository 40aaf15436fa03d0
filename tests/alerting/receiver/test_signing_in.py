"""Who may look and switch: a session begins with the operator token and ends with it, and every form is its own."""

from __future__ import annotations

import pytest

from alerting.receiver.schema import audit, kills, sessions
from tests.alerting.receiver.conftest import BROWSER

SWITCH = "/agents/support-bot/switch"


def test_who_is_not_signed_in_is_led_to_signing_in_and_back(bench):
    """Also from a link in a message, with all that stood in it; the form says what it wants."""
    for path in ("/", "/?agent=support-bot", SWITCH):
        answer = bench.client.get(path, follow_redirects=False)
        assert answer.status_code == 303
        form = bench.client.get(answer.headers["location"]).text
        assert f'name="next" value="{path}"' in form
        assert "Operator token" in form
        assert bench.sign_in(then=path).headers["location"] == path
        assert bench.client.get(path).status_code == 200
        bench.client.cookies.clear()


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "x", "/a\nb", "/é"])
def test_signing_in_never_leads_elsewhere(bench, elsewhere):
    """The form's `next` comes from a link that anybody may have made."""
    assert bench.sign_in(then=elsewhere).headers["location"] == "/"


def test_the_cookie_is_out_of_reach(bench):
    """Of scripts, of other sites, and where the page came over TLS of plain connections."""
    (cookie,) = bench.sign_in().headers.get_list("set-cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    over_tls = BROWSER | {"origin": "https://testserver"}
    form = {"by": "a", "token": "operator-token"}
    answer = bench.client.post("/login", data=form, headers=over_tls, follow_redirects=False)
    assert "Secure" in answer.headers["set-cookie"]


def test_the_database_holds_nothing_that_lets_anybody_in(bench):
    """Neither the cookie nor the token, and what it holds is no cookie."""
    bench.sign_in()
    cookie = bench.client.cookies["handrail_session"]
    assert cookie not in bench.stored()
    assert "operator-token" not in bench.stored()
    (row,) = bench.rows(sessions)
    bench.client.cookies.set("handrail_session", row.id)
    assert bench.client.get("/", follow_redirects=False).status_code == 303


def test_a_session_ends_after_twelve_hours(bench):
    """And is forgotten when the next one begins."""
    bench.sign_in()
    bench.clock.advance(12 * 3600 - 1)
    assert bench.client.get("/", follow_redirects=False).status_code == 200
    bench.clock.advance(1)
    assert bench.client.get("/", follow_redirects=False).status_code == 303
    bench.sign_in()
    assert len(bench.rows(sessions)) == 1


def test_a_token_that_is_taken_away_ends_its_sessions(bench, tmp_path):
    """Those that began with another line of the file go on."""
    file = tmp_path / "secrets" / "operator"
    file.write_text("new\noperator-token\n")
    bench.sign_in()
    old = bench.client.cookies["handrail_session"]
    bench.sign_in(token="new")
    file.write_text("new\n")
    assert bench.client.get("/", follow_redirects=False).status_code == 200
    bench.client.cookies.set("handrail_session", old)
    assert bench.client.get("/", follow_redirects=False).status_code == 303


def test_a_session_outlives_the_receiver_and_ends_with_signing_out(bench):
    """What the browser still has is worth nothing then; the audit log has both."""
    bench.sign_in("night shift")
    cookie = bench.client.cookies["handrail_session"]
    bench.restart()
    bench.client.cookies.set("handrail_session", cookie, domain="testserver.local")
    assert bench.send_form("/logout", page="/").headers["location"] == "/login"
    bench.client.cookies.set("handrail_session", cookie, domain="testserver.local")
    assert bench.client.get("/", follow_redirects=False).status_code == 303
    assert [(row.actor, row.action) for row in bench.rows(audit)] == [
        ("night shift", "signed in"),
        ("night shift", "signed out"),
    ]


def test_a_wrong_token_or_no_name_is_said_and_nobody_is_let_in(bench):
    """The name that was typed stays in the form."""
    for by, token, status in (("ops", "wrong", 401), ("", "operator-token", 400), (" \u200b", "operator-token", 400)):
        answer = bench.sign_in(by, token)
        assert answer.status_code == status
        assert 'role="alert"' in answer.text
        assert "set-cookie" not in answer.headers
    assert 'value="ops"' in bench.sign_in("ops", "wrong").text
    assert bench.rows(sessions) == []


def test_a_token_cannot_be_guessed(bench):
    """After ten tries the eleventh is not even looked at, right or wrong; six seconds later one is."""
    assert [bench.sign_in(token="wrong").status_code for _ in range(10)] == [401] * 10
    refused = bench.sign_in()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "6")
    bench.clock.advance(6)
    assert bench.sign_in().status_code == 303


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "same-site"}],
    ids=["nothing", "another", "null", "same-site"],
)
def test_the_form_of_another_site_is_not_taken(bench, headers):
    """A browser says where a form comes from; with the right token, cookie and all it is refused."""
    page = bench.sign_in() and bench.client.get(SWITCH).text
    csrf = page.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": csrf, "action": "disable", "reason": "because", "by": "x", "token": "operator-token"}
    for path in (SWITCH, "/login", "/logout"):
        assert bench.client.post(path, data=form, headers=headers).status_code == 403
    assert bench.rows(kills) == []
    public = {"origin": bench.settings.receiver.public_url}
    assert bench.client.post(SWITCH, data=form, headers=public, follow_redirects=False).status_code == 303


def test_a_form_that_is_not_of_this_session_is_not_taken(bench):
    """Not without what is hidden in it, and not with that of another session."""
    bench.sign_in()
    others = bench.client.get("/").text.split('name="csrf" value="')[1].split('"')[0]
    bench.sign_in()
    for csrf in ("", "x", others, "é"):
        form = {"csrf": csrf, "action": "disable", "reason": "because"}
        assert bench.client.post(SWITCH, data=form, headers=BROWSER).status_code == 403
        assert bench.client.post("/logout", data={"csrf": csrf}, headers=BROWSER).status_code == 403
    assert bench.rows(kills) == []


def test_switching_after_the_session_is_over_changes_nothing_and_says_so(bench):
    """The way back leads to the same agent."""
    answer = bench.client.post(SWITCH, data={"action": "disable", "reason": "x"}, headers=BROWSER)
    assert answer.status_code == 401
    assert "Nothing was changed" in answer.text
    assert f'name="next" value="{SWITCH}"' in answer.text
    assert bench.rows(kills) == []


def test_a_form_that_cannot_be_read_is_refused(bench):
    """Too large, not UTF-8, or with too many fields."""
    for body, status in ((b"a=" + b"x" * 17_000, 413), (b"\xff", 400), (b"a=1&" * 20, 400)):
        assert bench.client.post("/login", content=body, headers=BROWSER).status_code == status

"""Secrets and personal data do not get into what is stored or sent."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.redact import Redactor, clean, redact

SENSITIVE = {
    "EMAIL": "jane.roe@example.org",
    "IBAN": "DE89 3704 0044 0532 0130 00",
    "CARD": "4111 1111 1111 1111",
    "SSN": "078-05-1120",
    "PHONE": "+49 30 1234567",
    "IP": "192.168.10.20",
    "API_KEY": "sk-proj-abcdefghijklmnopqrst",
    "GITHUB_TOKEN": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijk",
    "SLACK_TOKEN": "xoxb-1234567890-abcdefghij",
    "AWS_KEY": "AKIAABCDEFGHIJKLMNOP",
    "URL_PASSWORD": "hunter22",
    "PRIVATE_KEY": "-----BEGIN PRIVATE KEY-----\nMIIEvQ==\n-----END PRIVATE KEY-----",
}


@pytest.mark.parametrize("kind", SENSITIVE)
def test_each_kind_is_replaced_by_its_placeholder(kind):
    """Equal values get equal placeholders, others do not."""
    value = SENSITIVE[kind]
    text = f"before {value} after" if kind != "URL_PASSWORD" else f"postgres://user:{value}@host/db"
    redacted = redact(text)
    assert value not in redacted
    assert f"[{kind}:" in redacted
    assert redact(text) == redacted
    assert Redactor(b"other")(text) != redacted


@pytest.mark.parametrize("text", ["version 1.2.3", "order 4111111111111112", "5s", "10:15:30", "a@b", "DE00 1234"])
def test_everyday_text_is_left_alone(text):
    """Versions, order numbers, times."""
    assert redact(text) == text


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400))
def test_redacting_twice_changes_nothing_more(text):
    """So that a text may pass through more than one door."""
    once = redact(text)
    assert redact(once) == once


def test_control_bidi_and_ansi_characters_are_removed():
    """What could change how the rest is read."""
    assert clean("a\x1b[31mb\u202ec\u200bd\x00e\n\tf") == "abcde\n\tf"

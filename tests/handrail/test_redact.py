"""Secrets and personal data do not get into what is stored or sent."""

from __future__ import annotations

import json
import pathlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.redact import BEYOND, KINDS, MAX_CHARACTERS, Redactor, clean, redact
from tests import redaction_corpus as corpus
from tests.thorough import examples

PLANTED = corpus.planted()
# Text that tries to confuse: pieces of the forms themselves beside arbitrary characters.
PIECES = st.sampled_from(
    (
        *(
            'password="',
            "token: ",
            "secret=",
            "Authorization: ",
            "eyJ",
            "ghp_",
            "sk-",
            "://a:",
            "@",
            '"',
            "'",
            "\\",
            "=",
        ),
        *("-----", "-----BEGIN PRIVATE KEY-----", "Cookie: a=", "[EMAIL:7f3a2c]", "AKIA", "\x1b[", "\u200b", " ", "\n"),
        *("1", "+49 30 ", "4111 ", "DE89 "),
    )
)
SURROUNDING = st.lists(st.one_of(st.text(max_size=12), PIECES), max_size=5).map("".join)


def name_of(planted):
    return planted.kind


@pytest.mark.parametrize("planted", PLANTED, ids=name_of)
def test_each_kind_is_replaced_by_its_placeholder(planted):
    """Nothing of the value stays, equal values get equal placeholders, and another key gives others."""
    redacted = redact(planted.text)
    assert planted.secret not in redacted
    assert f"[{planted.kind}:" in redacted
    assert redact(redacted) == redacted
    assert redact(planted.text) == redacted
    assert Redactor(b"other")(planted.text) != redacted


def test_every_kind_has_an_example():
    """And there are many kinds."""
    names = {kind.name for kind in KINDS}
    assert {planted.kind for planted in PLANTED} == names
    assert len(names) >= 60


@pytest.mark.parametrize("text", corpus.EVERYDAY)
def test_everyday_text_is_left_alone(text):
    """Versions, orders, times, prices, hashes, UUIDs, executions, counts of tokens."""
    assert redact(text) == text


@pytest.mark.property
@settings(max_examples=examples(150))
@given(SURROUNDING, st.sampled_from([each for each in corpus.tokens() if each.kind != "API_KEY"]), SURROUNDING)
def test_nothing_stays_of_a_token_wherever_it_stands(before, planted, after):
    """Glued to any text, before and after; not even the part that makes it unique.

    A key of no service in particular is known only where a word begins: otherwise "task_" would begin one.
    """
    redacted = redact(before + planted.text + after)
    assert planted.secret not in redacted
    tail = planted.secret[len(planted.secret) // 2 :]
    assert tail not in redacted or tail in clean(before + after)


@pytest.mark.property
@settings(max_examples=examples(150))
@given(SURROUNDING, st.sampled_from([*corpus.fields(), *corpus.personal()]), SURROUNDING)
def test_nothing_stays_of_a_field_or_a_person_on_a_line_of_its_own(before, planted, after):
    """Whatever the lines before and after say."""
    redacted = redact(f"{before}\n{planted.text}\n{after}")
    assert planted.secret not in redacted or planted.secret in clean(before + after)


@pytest.mark.property
@settings(max_examples=examples(150))
@given(st.one_of(st.text(max_size=400), SURROUNDING, st.sampled_from(PLANTED).map(lambda p: p.text * 2)))
def test_redacting_twice_changes_nothing_more(text):
    """So that a text may pass through more than one door."""
    once = redact(text)
    assert redact(once) == once


def test_equal_values_are_equal_however_they_are_spelt():
    """A customer can be followed through a ticket."""
    assert redact("DE89 3704 0044 0532 0130 00") == redact("DE89370400440532013000")
    assert redact("Jane.Roe@Example.org") == redact("jane.roe@example.org")


def test_a_secret_across_the_cut_leaves_nothing_before_it():
    """A text is cut only after it was redacted."""
    key = corpus.tokens()[0].secret
    redacted = redact("a" * (MAX_CHARACTERS - 40) + " " + key + "b" * 1000)
    assert len(redacted) <= MAX_CHARACTERS
    assert "PRIVATE KEY-----" not in redacted
    assert redact(redacted) == redacted


@pytest.mark.parametrize("shrinks", ["a\u200b" * 20_000, "jane.roe@example-of-a-long-domain.example.org " * 3_000])
def test_what_is_cut_before_it_is_read_is_not_shown(shrinks):
    """A text so long that not all of it is read, of which little is left: half a secret at its end stays out too."""
    token = next(planted.secret for planted in corpus.tokens() if planted.kind == "GITHUB_TOKEN")
    room = MAX_CHARACTERS + BEYOND - len(token) // 2
    text = (shrinks + "all is well. " * MAX_CHARACTERS)[: room - 1] + " " + token + " and more"
    redacted = redact(text)
    assert len(redacted) > 100_000
    assert token[:8] not in redacted


def test_a_text_is_cut_to_the_length_that_is_asked_for():
    """After it was redacted: nothing of a secret across the cut is shown, and nothing of one beyond it is made up."""
    key, redactor = corpus.tokens()[0].secret, Redactor(b"key")
    for length in (50, 1_000):
        redacted = redactor("all is well. " * 100 + key + "." * 90_000, at_most=length)
        assert redacted == ("all is well. " * 100)[:length]
        assert redactor("a" * (length - 20) + " " + key, at_most=length) == "a" * (length - 20) + " "


def test_a_hidden_secret_is_found():
    """Zero-width characters, colours and tags inside a token do not hide it."""
    token = next(planted.secret for planted in corpus.tokens() if planted.kind == "GITHUB_TOKEN")
    for hidden in ("\u200b", "\x1b[31m", "\u202e", "\U000e0041", "\x00", "\u00ad"):
        assert token not in redact(token[:9] + hidden + token[9:])
        assert token[20:] not in redact(token[:9] + hidden + token[9:])


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_what_json_wrote_within_a_string_is_found(levels):
    """After an escaped new line, beside an escaped quote and with an escaped invisible character in it."""
    for planted in corpus.planted():
        hidden = planted.text[:6] + "\u200b" + planted.text[6:] if planted in corpus.tokens() else planted.text
        text, secret = f"It says:\n{hidden}\nand\tno more", planted.secret
        for _ in range(levels):
            text, secret = json.dumps({"said": text}), json.dumps(secret)[1:-1]
        redacted = redact(text)
        shown = re.sub(r"\\+u200b", "", redacted)
        assert (planted.secret in shown or secret in shown) is False, (planted.kind, redacted)
        assert "It says:" in shown
        assert redact(redacted) == redacted


def test_a_value_is_the_same_after_an_escaped_new_line():
    """It has the same placeholder, and what stands before it is still an escape."""
    plain, escaped = redact("\njane@example.org"), redact('"\\njane@example.org"')
    assert json.loads(escaped) == plain


def test_what_is_found_uncovers_what_stands_beside_it():
    """A number glued to an address is a number once the address is gone; a text without an end is withheld whole."""
    for links in (1, 3, 40):
        chain = "jane@example.org" + "+49301234567@example.org" * links + "+49301234567"
        once = redact(chain)
        assert "4930" not in once
        assert redact(once) == once


ADVERSARIAL = (
    *(
        "a",
        "1",
        "-",
        "1 ",
        "eyJ",
        "://a",
        'password="',
        "token=token:",
        "a@a.",
        "::",
        "4111 ",
        "DE89 ",
        "<secret ",
        "\\'",
    ),
    *("-----BEGIN PRIVATE KEY-----", "bearer ", "?sig=", "Cookie: a=", "a@b.co+4930123456 ", "1 85 05 78 006 084 91."),
)


@pytest.mark.parametrize("seed", ADVERSARIAL)
def test_time_grows_with_the_length_and_no_faster(seed):
    """Four times the text takes about four times as long, where a quadratic pattern would take sixteen times."""

    def seconds(length: int) -> float:
        text = (seed * length)[:length]
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            redact(text)
            best = min(best, time.process_time() - began)
        return best

    assert seconds(16_000) < 9 * seconds(4_000)


def test_control_bidi_and_ansi_characters_are_removed():
    """What could change how the rest is read."""
    assert clean("a\x1b[31mb\u202ec\u200bd\x00e\n\tf\ud800\u2028\U000e0041\u2066g") == "abcde\n\tfg"


@pytest.mark.property
@settings(max_examples=examples(100))
@given(st.text(max_size=200))
def test_cleaning_twice_changes_nothing_more(text):
    """What is taken out brings nothing new together."""
    assert clean(clean(text)) == clean(text)


def test_the_page_names_every_kind():
    """What is found is what the documentation says."""
    page = (pathlib.Path(__file__).parents[2] / "docs/redaction.md").read_text(encoding="utf-8")
    assert [kind.name for kind in KINDS if not re.search(rf"\b{kind.name}\b", page)] == []


@pytest.mark.parametrize("sequence", ["\x1b[", "\x1b[31m", "\x1b]0;", "\x1b"])
def test_a_sequence_for_terminals_takes_no_part_of_a_token_along(sequence):
    """Where it ends is for the terminal to say; the token is found in either reading."""
    for planted in corpus.tokens():
        for text in (sequence + planted.secret, planted.secret[:12] + sequence + planted.secret[12:]):
            redacted = redact(text)
            assert planted.secret[-16:] not in redacted, (planted.kind, redacted)
            assert redact(redacted) == redacted


def test_what_is_remembered_changes_no_answer():
    """The second time, and after more texts than are remembered, a text is redacted as it was the first time."""
    redactor = Redactor(b"key")
    texts = ["owner", "anna@example.com", *(f"agent-{number}" for number in range(5_000)), "owner", "anna@example.com"]
    answers = [redactor(text) for text in texts]
    assert answers[:2] == answers[-2:]
    assert answers[0] == "owner"
    assert "anna" not in answers[1]

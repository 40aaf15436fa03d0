"""What a model wrote stays text: it mentions nobody, loads nothing, and breaks out of nothing."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.receiver import markup, text

HOSTILE = [
    "[~accountid:5b10] @all <!channel>",
    "{noformat} !http://evil.example/x.png! {code}",
    "[text|http://evil.example]",
    "\x1b[31mred\x1b[0m \u202egnp.exe \u200b",
    "",
    "a" * 500_000,
    '"}]}]} , {"type": "mention"}',
]


def document(said: str) -> text.Document:
    return (
        text.paragraph(said),
        text.facts(("Agent", said), ("Nothing", None)),
        text.links(("Run-book", "http://handrail.example/runbook/X")),
        text.quote("Prompt (untrusted text)", said),
    )


@pytest.mark.parametrize("said", HOSTILE)
def test_adf_follows_the_schema_and_holds_only_text(said, contracts):
    """Valid against Atlassian's schema, short enough, and without any node we did not make."""
    adf = markup.render(document(said), cloud=True).body
    jsonschema.validate(adf, json.loads((contracts / "jira" / "adf-full.schema.json").read_text()))
    assert len(json.dumps(adf, ensure_ascii=False)) <= markup.MAX_DOCUMENT
    assert set(_types(adf)) <= {"doc", "paragraph", "bulletList", "listItem", "text", "codeBlock", "strong", "link"}


@settings(max_examples=60)
@given(st.text(max_size=3000))
def test_no_text_makes_a_node_or_an_empty_text(said):
    """Whatever is said: no empty text node, nothing too long, and the same kinds of nodes."""
    adf = markup.render(document(said), cloud=True).body
    assert len(json.dumps(adf, ensure_ascii=False)) <= markup.MAX_DOCUMENT
    assert all(node["text"] for node in _nodes(adf) if node.get("type") == "text")


@pytest.mark.parametrize("said", HOSTILE)
def test_wiki_text_is_inert(said):
    """Only our own two noformat marks remain, and nothing outside them has a meaning."""
    wiki = markup.render(document(said), cloud=False).body
    assert wiki.count("{noformat}") == 2
    outside = wiki.split("{noformat}")[0]
    assert "[~" not in outside.replace("\\[\\~", "")
    assert "!http" not in outside.replace("\\!http", "")
    assert len(wiki) <= markup.MAX_DOCUMENT


def test_a_summary_is_one_short_line():
    """Jira refuses line breaks and more than 255 characters."""
    assert text.one_line("a\nb\t c\x00") == "a b c"
    assert len(text.one_line("x" * 1000)) == 255


def test_a_document_survives_being_stored():
    """What is dumped is what is restored."""
    before = document("said")
    assert text.restore(json.loads(json.dumps(text.dump(before)))) == before


def _nodes(node):
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value)


def _types(adf):
    return [node["type"] for node in _nodes(adf) if "type" in node]


def test_what_an_older_version_stored_is_redacted_when_it_is_sent():
    """It may have known fewer kinds; what was redacted already stays as it is."""
    address = "jane.roe" + "@example.org"
    stored = text.dump((text.quote("Prompt", f"[EMAIL:7f3a2c] {address}"), text.facts(("Whom to ask", address))))
    quoted, facts = text.restore(stored)
    assert address not in quoted.text
    assert quoted.text.startswith("[EMAIL:7f3a2c] [EMAIL:")
    assert facts.rows == (("Whom to ask", address),)

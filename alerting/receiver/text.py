"""What a ticket says, as blocks, rendered to Jira's document format (Cloud) or wiki markup (Data Center).

Text from outside only ever becomes plain text: a text node in ADF, a `{noformat}` block in wiki markup. It can
therefore neither mention a person, nor load an image, nor disguise a link.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from handrail.redact import clean

MAX_SUMMARY = 255  # Jira's limit for a summary, in characters
MAX_DOCUMENT = 32_000  # below Jira's 32,767, which may count the serialised document
MAX_QUOTE = 4_000
MAX_PARAGRAPH = 1_000
MAX_FACT = 300


class Block(BaseModel):
    """A paragraph of our own words, facts as name and value, links, or a quotation of text we do not trust."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["paragraph", "facts", "links", "quote"]
    text: str = ""
    rows: tuple[tuple[str, str], ...] = ()


Document = tuple[Block, ...]


def paragraph(text: str) -> Block:
    """A paragraph."""
    return Block(kind="paragraph", text=_cut(text, MAX_PARAGRAPH))


def facts(*rows: tuple[str, str | None]) -> Block:
    """Names and values; what has no value is left out."""
    return Block(kind="facts", rows=tuple((name, _cut(value, MAX_FACT)) for name, value in rows if value))


def links(*rows: tuple[str, str]) -> Block:
    """Labels and URLs of our own."""
    return Block(kind="links", rows=rows)


def quote(title: str, text: str) -> Block:
    """Text somebody else wrote, cut to a bounded length and never interpreted."""
    return Block(kind="quote", rows=((title, ""),), text=_cut(text, MAX_QUOTE))


def one_line(text: str, limit: int = MAX_SUMMARY) -> str:
    """The text on one line, without control characters, of at most `limit` characters."""
    return _cut(re.sub(r"\s+", " ", clean(text)).strip(), limit)


def dump(document: Document) -> list[dict[str, Any]]:
    """The document as JSON values."""
    return [block.model_dump() for block in document]


def restore(values: Sequence[object]) -> Document:
    """The document that `dump` wrote."""
    return tuple(Block.model_validate(value) for value in values)


def to_adf(document: Document) -> dict[str, Any]:
    """The document in Atlassian Document Format, no longer than Jira accepts."""
    for limit in (MAX_QUOTE, 1000, 200, 0):
        shortened = [
            block.model_copy(update={"text": _cut(block.text, limit)}) if block.kind == "quote" else block
            for block in document
        ]
        adf = {"version": 1, "type": "doc", "content": [node for block in shortened for node in _adf(block)]}
        if len(json.dumps(adf)) <= MAX_DOCUMENT:
            return adf
    return {"version": 1, "type": "doc", "content": [_adf_paragraph(_text("The report is too long for a ticket."))]}


def to_wiki(document: Document) -> str:
    """The document in wiki markup, no longer than Jira accepts."""
    return _cut("\n\n".join(_wiki(block) for block in document), MAX_DOCUMENT)


def _adf(block: Block) -> list[dict[str, Any]]:
    if block.kind == "paragraph":
        return [_adf_paragraph(_text(clean(block.text) or "-"))]
    if block.kind == "facts":
        items = [[_text(f"{name}: ", strong=True), _text(clean(value) or "-")] for name, value in block.rows]
        return [_adf_list(items)] if items else []
    if block.kind == "links":
        items = [[_text(label, href=url)] for label, url in block.rows]
        return [_adf_list(items)] if items else []
    title = _adf_paragraph(_text(block.rows[0][0], strong=True))
    body = clean(block.text)
    return [title, {"type": "codeBlock", "content": [{"type": "text", "text": body or "(empty)"}]}]


def _adf_paragraph(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "paragraph", "content": list(content)}


def _adf_list(items: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    return {
        "type": "bulletList",
        "content": [{"type": "listItem", "content": [_adf_paragraph(*item)]} for item in items],
    }


def _text(text: str, *, strong: bool = False, href: str | None = None) -> dict[str, Any]:
    node: dict[str, Any] = {"type": "text", "text": text}
    marks: list[dict[str, Any]] = [{"type": "strong"}] if strong else []
    if href:
        marks.append({"type": "link", "attrs": {"href": href}})
    return {**node, "marks": marks} if marks else node


def _wiki(block: Block) -> str:
    if block.kind == "paragraph":
        return _wiki_plain(block.text)
    if block.kind == "facts":
        return "\n".join(f"* *{name}:* {_wiki_plain(value)}" for name, value in block.rows)
    if block.kind == "links":
        return "\n".join(f"* [{label}|{url}]" for label, url in block.rows)
    # A brace inside could end the block; a word joiner would be removed by clean(), so the brace itself goes.
    body = clean(block.text).replace("{", "(").replace("}", ")")
    return f"*{block.rows[0][0]}*\n{{noformat}}\n{body}\n{{noformat}}"


def _wiki_plain(text: str) -> str:
    """Escapes what wiki markup gives a meaning: links, mentions, images, macros, tables and emphasis."""
    return re.sub(r"([\[\]{}!|*_^~\\])", r"\\\1", clean(text).replace("\n", " "))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"

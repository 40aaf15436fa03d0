"""Blocks in Jira's document format (Cloud) or in wiki markup (Data Center), never longer than Jira accepts.

Text from outside becomes a text node or a `{noformat}` block. It can therefore neither mention a person, nor load an
image, nor disguise a link.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alerting.receiver.text import Block, Document, cut, length, paragraph
from handrail.redact import clean

MAX_DOCUMENT = 32_000  # below Jira's 32,767, which on Cloud counts the serialised document
MAX_QUOTE = 4_000


@dataclass(frozen=True, slots=True)
class Rendered:
    """What is sent: a document, or wiki text. `cut`: not all of it had room."""

    body: dict[str, Any] | str
    cut: bool


def render(document: Document, *, cloud: bool, name: str = "handrail") -> Rendered:
    """The document as Jira wants it. Where something had to go, the text says that `name`.txt holds it."""
    to_markup = to_adf if cloud else to_wiki
    note = paragraph(f"Shortened to what Jira takes. The whole text is attached as {name}.txt.")
    for limit in (MAX_QUOTE, 1000, 200, 0):
        shown = tuple(_shortened(block, limit) for block in document)
        is_cut = shown != document
        body = to_markup((*shown, note) if is_cut else shown)
        if _size(body) <= MAX_DOCUMENT:
            return Rendered(body, is_cut)
    while shown and _size(to_markup((*shown, note))) > MAX_DOCUMENT:
        shown = shown[: len(shown) * 3 // 4]
    return Rendered(to_markup((*shown, note)), cut=True)


def _shortened(block: Block, limit: int) -> Block:
    return block.model_copy(update={"text": cut(block.text, limit)}) if block.kind == "quote" else block


def _size(body: dict[str, Any] | str) -> int:
    return length(body if isinstance(body, str) else json.dumps(body, ensure_ascii=False))


def to_adf(document: Document) -> dict[str, Any]:
    """The document in Atlassian Document Format, however long it gets."""
    return {"version": 1, "type": "doc", "content": [node for block in document for node in _adf(block)]}


def to_wiki(document: Document) -> str:
    """The document in wiki markup, however long it gets."""
    return "\n\n".join(_wiki(block) for block in document)


def _adf(block: Block) -> list[dict[str, Any]]:
    if block.kind == "paragraph":
        return [_paragraph(_text(block.text))]
    if block.kind == "heading":
        return [{"type": "heading", "attrs": {"level": 3}, "content": [_text(block.text)]}]
    if block.kind == "quote":
        title = _paragraph(_text(block.rows[0][0], strong=True))
        body = clean(block.text) or "(empty)"
        return [title, {"type": "codeBlock", "content": [{"type": "text", "text": body}]}]
    if not block.rows:
        return []
    return [_list([_line(block, name, value) for name, value in block.rows], ordered=block.kind == "steps")]


def _line(block: Block, name: str, value: str) -> list[dict[str, Any]]:
    if block.kind == "facts":
        return [_text(f"{name}: ", strong=True), _text(value)]
    if block.kind == "links":
        return [_text(name, href=value)]
    if value:
        return [_text(f"{clean(name)} · "), _text("open", href=value)]
    return [_text(name)]


def _paragraph(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "paragraph", "content": list(content)}


def _list(lines: Sequence[Sequence[dict[str, Any]]], *, ordered: bool) -> dict[str, Any]:
    rows = [{"type": "listItem", "content": [_paragraph(*line)]} for line in lines]
    return {"type": "orderedList" if ordered else "bulletList", "content": rows}


def _text(text: str, *, strong: bool = False, href: str | None = None) -> dict[str, Any]:
    node: dict[str, Any] = {"type": "text", "text": clean(text) or "-"}
    marks: list[dict[str, Any]] = [{"type": "strong"}] if strong else []
    if href:
        marks.append({"type": "link", "attrs": {"href": href}})
    return {**node, "marks": marks} if marks else node


def _wiki(block: Block) -> str:
    if block.kind == "paragraph":
        return _inert(block.text)
    if block.kind == "heading":
        return f"h3. {_inert(block.text)}"
    if block.kind == "facts":
        return "\n".join(f"* *{_inert(name)}:* {_inert(value)}" for name, value in block.rows)
    if block.kind == "steps":
        return "\n".join(f"# {_inert(line)}" for line, _ in block.rows)
    if block.kind == "links":
        return "\n".join(f"* {_wiki_link(label, url)}" for label, url in block.rows)
    if block.kind == "items":
        return "\n".join(
            f"* {_inert(line)}" + (f" · {_wiki_link('open', url)}" if url else "") for line, url in block.rows
        )
    # A brace inside could end the block; a word joiner would be removed by clean(), so the brace itself goes.
    body = clean(block.text).replace("{", "(").replace("}", ")")
    return f"*{_inert(block.rows[0][0])}*\n{{noformat}}\n{body}\n{{noformat}}"


def _wiki_link(label: str, url: str) -> str:
    # What would end the link early, as a URL writes it.
    target = re.sub(r"[|\]\[{}\s]", lambda found: f"%{ord(found[0]):02X}", url)
    return f"[{_inert(label)}|{target}]"


def _inert(text: str) -> str:
    """Escapes what wiki markup gives a meaning: links, mentions, images, macros, tables and emphasis."""
    return re.sub(r"([\[\]{}!|*_^~\\])", r"\\\1", clean(text).replace("\n", " "))

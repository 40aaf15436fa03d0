"""What a ticket says, as blocks that can be stored. Text from outside is only ever plain text in them.

How they look in Jira is `markup`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from handrail.redact import clean, redact

MAX_SUMMARY = 255  # Jira's limit for a summary, in characters
MAX_KEPT = 100_000  # of one quotation; what a ticket cannot show of it is attached
MAX_PARAGRAPH = 1_000
MAX_FACT = 300


class Block(BaseModel):
    """A part of a text.

    paragraph and heading: our own words. facts: names and values. steps: numbered lines. items: lines with a URL or
    none. links: labels and URLs of our own. quote: a quotation of text that we do not trust, under its title.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["paragraph", "heading", "facts", "steps", "items", "links", "quote"]
    text: str = ""
    rows: tuple[tuple[str, str], ...] = ()


Document = tuple[Block, ...]


def paragraph(text: str) -> Block:
    """A paragraph."""
    return Block(kind="paragraph", text=cut(text, MAX_PARAGRAPH))


def heading(text: str) -> Block:
    """What the next blocks are about."""
    return Block(kind="heading", text=cut(text, MAX_FACT))


def facts(*rows: tuple[str, str | None]) -> Block:
    """Names and values; what has no value is left out."""
    return Block(kind="facts", rows=tuple((name, cut(value, MAX_FACT)) for name, value in rows if value))


def steps(lines: Sequence[str]) -> Block:
    """What to do, in this order."""
    return Block(kind="steps", rows=tuple((cut(line, MAX_PARAGRAPH), "") for line in lines))


def items(*rows: tuple[str, str | None]) -> Block:
    """Lines, each with the URL of what it is about, or none."""
    return Block(kind="items", rows=tuple((cut(line, MAX_FACT), url or "") for line, url in rows))


def links(*rows: tuple[str, str]) -> Block:
    """Labels and URLs of our own."""
    return Block(kind="links", rows=rows)


def quote(title: str, text: str) -> Block:
    """Text somebody else wrote, of bounded length and never interpreted."""
    return Block(kind="quote", rows=((title, ""),), text=cut(text, MAX_KEPT))


def one_line(text: str, limit: int = MAX_SUMMARY) -> str:
    """The text on one line, without control characters, of at most `limit` characters as Jira counts them."""
    return cut(re.sub(r"\s+", " ", clean(text)).strip(), limit)


def dump(document: Document) -> list[dict[str, Any]]:
    """The document as JSON values."""
    return [block.model_dump() for block in document]


def restore(values: Sequence[object]) -> Document:
    """The document that `dump` wrote, its quotations redacted once more: an older version may have known less."""
    return tuple(_checked(Block.model_validate(value)) for value in values)


def _checked(block: Block) -> Block:
    return block.model_copy(update={"text": redact(block.text)}) if block.kind == "quote" else block


def plain(document: Document) -> str:
    """All of the document as text, e.g. for an attachment."""
    return "\n\n".join(_plain(block) for block in document) + "\n"


def _plain(block: Block) -> str:
    if block.kind == "quote":
        return f"{block.rows[0][0]}:\n{clean(block.text)}"
    if block.kind == "facts":
        return "\n".join(f"{name}: {clean(value)}" for name, value in block.rows)
    if block.kind == "steps":
        return "\n".join(f"{n}. {line}" for n, (line, _) in enumerate(block.rows, start=1))
    if block.rows:
        return "\n".join(f"- {clean(line)} {url}".rstrip() for line, url in block.rows)
    return clean(block.text)


def length(text: str) -> int:
    """How long Jira takes the text to be: Java counts a character beyond the first 65,536 as two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> str:
    """At most `limit` of Jira's characters, with an ellipsis where something is missing; no character is cut in two."""
    # Half of a surrogate pair, which JSON may hold, could not be sent.
    text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) * 2 <= limit or length(text) <= limit:
        return text
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * max(0, limit - 1)].decode("utf-16-le", "ignore")
    return kept + "…" if limit > 0 else ""

"""What Slack makes of a message: who is notified, what can be pressed, what is folded away. No I/O.

Sources: Slack's reference of message attachments (escaping of `&<>`, `mrkdwn_in`, folding from 700 characters or 5 line
ends, 300 characters of a footer, 5 buttons); that 8,000 characters are the end of a text is known from use.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FOLDED_CHARACTERS = 700
FOLDED_LINE_ENDS = 5
CUT_CHARACTERS = 8_000
MOST_FOOTER = 300
MOST_BUTTONS = 5

_SPECIAL = re.compile(r"<([^<>\n]*)>")
_ADDRESS = re.compile(r"https?://\S+")
# One pair around a word or more, with the outside of the pair not inside a word.
_STYLED = re.compile(r"(?<!\w)([*_~`])\S(?:[^\n]*?\S)?\1(?!\w)")
_READ = ("title", "text", "footer", "fallback", "pretext")


@dataclass(frozen=True, slots=True)
class Reading:
    """An attachment as a person has it before them, and what it does."""

    title: str
    text: str
    footer: str
    mentions: tuple[str, ...]
    links: tuple[str, ...]
    styled: bool
    folded: bool
    cut: bool


def read(attachment: Mapping[str, Any]) -> Reading:
    """How Slack shows an attachment; `text` ends where Slack cuts it."""
    given = {name: str(attachment.get(name) or "") for name in _READ}
    special = [match for name in _READ for match in _SPECIAL.findall(given[name])]
    bare = [address for name in _READ for address in _ADDRESS.findall(_SPECIAL.sub(" ", given[name]))]
    marked = [given[name] for name in attachment.get("mrkdwn_in", ()) if name in given]
    text = given["text"].rstrip()
    return Reading(
        title=_shown(given["title"]),
        text=_shown(text[:CUT_CHARACTERS]),
        footer=_shown(given["footer"][:MOST_FOOTER]),
        mentions=tuple(word for word in special if word[:1] in "!@#"),
        links=tuple(word.split("|")[0] for word in special if word[:1] not in "!@#") + tuple(bare),
        styled=any(_STYLED.search(text) for text in marked),
        folded=len(text) >= FOLDED_CHARACTERS or text.count("\n") >= FOLDED_LINE_ENDS,
        cut=len(text) > CUT_CHARACTERS or len(given["footer"]) > MOST_FOOTER or _buttons(attachment) > MOST_BUTTONS,
    )


def _buttons(attachment: Mapping[str, Any]) -> int:
    return len(attachment.get("actions") or ())


def _shown(text: str) -> str:
    """Slack knows three entities and no other."""
    plain = _SPECIAL.sub(lambda match: match[1].rpartition("|")[2], text)
    return re.sub(r"&(?:amp|lt|gt);", lambda match: html.unescape(match[0]), plain)

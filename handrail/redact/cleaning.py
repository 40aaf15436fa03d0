"""Characters that nobody sees are taken out: they hide a secret from a pattern and change how the rest is read."""

from __future__ import annotations

import re
import unicodedata

ESCAPE = "\x1b"
# What a terminal does not show: colours and moves, titles and links.
ESCAPED = re.compile("\x1b(?:\\[[0-9;?]{0,32}[ -/]?[@-~]|\\][^\x07\x1b]{0,256}(?:\x07|\x1b\\\\)?)")
# How much of one is the sequence and not the text around it, from the least to the most.
ESCAPES = (re.compile("\x1b"), re.compile("\x1b[\\[\\]]?"), re.compile("\x1b[\\[\\]]?[0-9;?]{0,32}"), ESCAPED)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f"  # controls but tab, the two of a new line, and ESCAPE
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0"  # soft hyphen, fillers, joiners
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"  # zero-width, separators, bidi
    "\ufe00-\ufe0f\U000e0000-\U000e0fff"  # variation selectors and tags
    "\ud800-\udfff]"  # half of a pair, which is no text in UTF-8
)


def clean(text: str) -> str:
    """The text in NFC without control, ANSI, bidi, zero-width and tag characters; new lines and tabs stay."""
    # First out, then composed: what was taken out may have kept two characters apart that compose into one.
    shown = ESCAPED.sub("", _INVISIBLE.sub("", text)).replace(ESCAPE, "")
    return unicodedata.normalize("NFC", shown)


def clean_but_escapes(text: str) -> str:
    """The same with its ANSI sequences still in it."""
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text))

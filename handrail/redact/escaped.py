"""Text that JSON wrote within a string, read as what it means: the `n` of an escaped new line begins no word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from handrail.redact.cleaning import ESCAPE, ESCAPED, clean

_WRITTEN = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_MEANT = {"n": "\n", "t": "\t", "r": "\n", "b": "", "f": ""}
# JSON within JSON within JSON: what a tool was given, in what a model was told, in what came over a webhook.
_DEPTH = 3


class Reading(NamedTuple):
    """What a text means, and where in it each character of that begins; one more entry is the text's length."""

    text: str
    begins: list[int]


def readings(text: str) -> Iterator[Reading]:
    """The text with one level of escapes undone, then with two and three, as long as there are any; linear."""
    reading = Reading(text, [*range(len(text) + 1)])
    for _ in range(_DEPTH):
        if "\\" not in reading.text:
            return
        undone = _undone(reading.text)
        reading = Reading(undone.text, [reading.begins[at] for at in undone.begins])
        yield reading


def begins_within(text: str, start: int, stop: int) -> bool:
    """Whether the first character of what was found is the letter of an escape, so that the value is the rest."""
    return stop - start > 1 and start > 0 and text[start - 1] == "\\" and text[start] in _MEANT


def _undone(text: str) -> Reading:
    pieces: list[str] = []
    begins: list[int] = []
    end = 0
    for match in _WRITTEN.finditer(text):
        pieces.append(text[end : match.start()])
        begins += range(end, match.start())
        meant = _meant(match)
        pieces.append(meant)
        begins += [match.start()] * len(meant)
        end = match.end()
    said = "".join([*pieces, text[end:]])
    begins += range(end, len(text) + 1)
    if ESCAPE not in said:
        return Reading(said, begins)
    hidden = {at for match in ESCAPED.finditer(said) for at in range(*match.span())}
    shown = [at for at in range(len(said)) if at not in hidden]
    return Reading("".join(said[at] for at in shown), [*(begins[at] for at in shown), len(text)])


def _meant(match: re.Match[str]) -> str:
    """What an escape stands for; nothing for what nobody sees."""
    if match[1] is None:
        return _MEANT.get(match[2], match[2])
    character = chr(int(match[1], 16))
    return character if character == ESCAPE else clean(character)[:1]

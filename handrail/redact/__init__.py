"""Secrets and personal data are replaced by typed placeholders before a text is stored or sent, in linear time.

Equal values get equal placeholders (`[EMAIL:7f3a2c]`, a keyed hash), so that a reader can still follow one
customer through a ticket. Names of people have no pattern and are not found.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Iterator

from handrail.redact.cleaning import ESCAPE, ESCAPED, ESCAPES, clean, clean_but_escapes
from handrail.redact.escaped import begins_within, readings
from handrail.redact.fields import FIELDS, is_secret_field
from handrail.redact.kind import BARRIER, Kind
from handrail.redact.personal import PERSONAL
from handrail.redact.tokens import TOKENS

__all__ = ["BEYOND", "KINDS", "MAX_CHARACTERS", "Redactor", "clean", "redact"]

MAX_CHARACTERS = 200_000

# Secrets first: where two kinds overlap, the first one gives the placeholder its name.
KINDS: tuple[Kind, ...] = (*TOKENS, *FIELDS, *PERSONAL)

# Read beyond the cut, so that a secret that lies across it is still whole. A key in PEM is some 3,000 characters.
BEYOND = 16_384
# What is found can bring to light what was hidden beside it. A text that goes on doing so is withheld whole.
_ROUNDS = 6
_WITHHELD = "WITHHELD"
_LONG_NUMBER = 10**10
# Labels and names of fields come again with every notification; nothing in which something was found is remembered.
_REMEMBERED = 8_192
_REMEMBERED_CHARACTERS = 300
_RANKS = {kind.name: rank for rank, kind in reversed(list(enumerate(KINDS)))}
_PLACEHOLDER = re.compile(r"\[(?:" + "|".join(sorted({_WITHHELD, *(kind.name for kind in KINDS)})) + r"):[0-9a-f]{6}\]")


class Redactor:
    """Replaces sensitive text; two redactors with the same key give the same placeholders."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._harmless: set[str | tuple[str, str]] = set()

    def __call__(self, text: str, *, at_most: int = MAX_CHARACTERS) -> str:
        """The text, cleaned, at most `at_most` characters of it, with every known kind replaced. Idempotent."""
        if text in self._harmless and len(text) <= at_most:
            return text
        redacted = self._redacted(text, at_most)
        if redacted == text:
            self._remember(text, len(text))
        return redacted

    def _remember(self, harmless: str | tuple[str, str], characters: int) -> None:
        if characters <= _REMEMBERED_CHARACTERS:
            if len(self._harmless) >= _REMEMBERED:
                self._harmless.clear()
            self._harmless.add(harmless)

    def _redacted(self, text: str, at_most: int) -> str:
        read = text[: at_most + BEYOND]
        source = clean(self._without_escapes(clean_but_escapes(read)) if ESCAPE in read else read)
        # Where the text was cut a secret may be cut too; nothing so near to that is shown, however short the rest got.
        until = len(source) if read == text else max(0, len(source) - BEYOND)
        found = _found(source)
        if found is None:
            return self._placeholder(_WITHHELD, source)
        pieces, end, length = [], 0, 0
        for start, stop, kind in [*found, (until, until, None)]:
            plain = source[end : min(start, until)][: at_most - length]
            pieces.append(plain)
            length += len(plain)
            if kind is None or start >= min(until, at_most):
                break
            placeholder = self._placeholder(kind.name, kind.canonical(source[start:stop]))
            if length + len(placeholder) > at_most:
                break
            pieces.append(placeholder)
            length, end = length + len(placeholder), stop
        return "".join(pieces)

    def within(self, value: object) -> object:
        """The same for a value as of JSON: every text in it, names included, and numbers long enough to be a card."""
        return self._within(value, "", {})

    def _within(self, value: object, name: str, done: dict[tuple[str, str], str]) -> object:
        if isinstance(value, str):
            field = name, value
            if field in self._harmless:
                return value
            if field not in done:
                secret = is_secret_field(name, value) and not _PLACEHOLDER.fullmatch(value)
                done[field] = redacted = self._placeholder("SECRET", value) if secret else self(value)
                if redacted == value:
                    self._remember(field, len(name) + len(value))
            return done[field]
        if isinstance(value, dict):
            return {self(key): self._within(each, key, done) for key, each in value.items()}
        if isinstance(value, list):
            return [self._within(each, name, done) for each in value]
        if isinstance(value, int) and abs(value) >= _LONG_NUMBER:
            return value if self(str(value)) == str(value) else self(str(value))
        return value

    def _without_escapes(self, text: str) -> str:
        """The text without ANSI sequences, redacted as it stands and as terminals may show it.

        A sequence ends with the first letter that follows, which may be the first one of a token; one may also stand
        within a token. Each is found in one of the readings only.
        """
        claims = []
        for hidden in ESCAPES:
            gone = {at for match in hidden.finditer(text) for at in range(*match.span())}
            view = [at for at in range(len(text)) if at not in gone]
            for start, stop, kind in _found("".join(text[at] for at in view)) or ():
                if start < stop:
                    claims.append((view[start], view[stop - 1] + 1, _RANKS[kind.name]))
        pieces, end = [], 0
        for start, stop, rank in _joined(claims):
            pieces += [ESCAPED.sub("", text[end:start]), self._placeholder(KINDS[rank].name, text[start:stop])]
            end = stop
        return "".join([*pieces, ESCAPED.sub("", text[end:])])

    def _placeholder(self, name: str, value: str) -> str:
        return f"[{name}:{hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:6]}]"


_OF_THIS_PROCESS = os.urandom(32)


def redact(text: str, *, key: bytes = _OF_THIS_PROCESS) -> str:
    """The text with secrets and personal data replaced; with no key, tags are equal within this process only."""
    return Redactor(key)(text)


def _found(source: str) -> list[tuple[int, int, Kind]] | None:
    """What to replace, in the order of the text and without overlaps; None where it has no end."""
    masked = _PLACEHOLDER.sub(lambda match: BARRIER * len(match.group()), source)
    found: list[tuple[int, int, Kind]] = []
    for _ in range(_ROUNDS):
        new = list(_spans(masked))
        if not new:
            return sorted(found, key=lambda span: span[0])
        found += new
        pieces, end = [], 0
        for start, stop, _kind in new:
            pieces += [masked[end:start], BARRIER * (stop - start)]
            end = stop
        masked = "".join([*pieces, masked[end:]])
    return None


def _spans(masked: str) -> Iterator[tuple[int, int, Kind]]:
    """What the kinds claim, in order; claims that overlap are one, so that nothing of either stays."""
    claims = [*_claims(masked)]
    if "\\" in masked:
        claims = [(start + begins_within(masked, start, stop), stop, rank) for start, stop, rank in claims]
        claims += [(at[start], at[stop], rank) for text, at in readings(masked) for start, stop, rank in _claims(text)]
    yield from ((start, stop, KINDS[rank]) for start, stop, rank in _joined(claims))


def _claims(text: str) -> Iterator[tuple[int, int, int]]:
    lowered = text.lower()
    for rank, kind in enumerate(KINDS):
        # A generator for `any` would take longer than all that is searched: most texts are short and have no hint.
        for hint in kind.hints:
            if hint in lowered:
                break
        else:
            if kind.hints:
                continue
        for start, stop in kind.find(text):
            yield start, stop, rank


def _joined(claims: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """The claims in order; those that overlap are one, of the first kind among them."""
    start, stop, first = 0, 0, len(KINDS)
    for begins, ends, rank in sorted(claims):
        if begins >= stop:
            if stop:
                yield start, stop, first
            start, stop, first = begins, ends, rank
        else:
            stop, first = max(stop, ends), min(first, rank)
    if stop:
        yield start, stop, first

"""Secrets and personal data are replaced by typed placeholders before a text is stored or sent, in linear time.

Equal values get equal placeholders (`[EMAIL:7f3a2c]`, a keyed hash), so that a reader can still follow one
customer through a ticket. Names of people have no pattern and are not found.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

MAX_CHARACTERS = 200_000

_PLACEHOLDER = re.compile(r"\[[A-Z_]{2,20}:[0-9a-f]{6}\]")

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls but tab and new line
    "\ud800-\udfff"  # half of a pair, which is no text in UTF-8
    "\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"  # zero-width, bidi, tags
)
_ANSI = re.compile("\x1b(?:\\[[0-9;?]{0,32}[ -/]?[@-~]|\\][^\x07\x1b]{0,256}(?:\x07|\x1b\\\\)?)")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of sensitive text: its placeholder, its pattern and what a match must satisfy besides."""

    name: str
    pattern: re.Pattern[str]
    accepts: Callable[[str], bool] = bool
    group: int = 0


def _luhn(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = (d if i % 2 == 0 else d * 2 - 9 * (d > 4) for i, d in enumerate(reversed(digits)))
    return sum(doubled) % 10 == 0


def _iban(text: str) -> bool:
    compact = text.replace(" ", "").upper()
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


# Secrets first: a token may hold something that looks like personal data, never the other way round.
_KINDS = (
    Kind(
        "PRIVATE_KEY",
        re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,10000}(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"),
    ),
    Kind("JWT", re.compile(r"\beyJ[\w-]{5,2000}\.[\w-]{5,4000}\.[\w-]{0,1000}")),
    Kind("AWS_KEY", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    Kind("GITHUB_TOKEN", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255})")),
    Kind("GITLAB_TOKEN", re.compile(r"\bglpat-[\w-]{20,64}")),
    Kind("SLACK_TOKEN", re.compile(r"\bxox[abeoprs]-[\w-]{10,255}")),
    Kind("SLACK_WEBHOOK", re.compile(r"https://hooks\.slack\.com/[\w/]{10,200}")),
    Kind("API_KEY", re.compile(r"\b(?:sk|pk|rk)[-_](?:[A-Za-z]{2,12}[-_]){0,3}[\w-]{16,255}")),
    Kind("GOOGLE_KEY", re.compile(r"\bAIza[\w-]{35}")),
    Kind("CLOUDFLARE_TOKEN", re.compile(r"\bcf[a-z]{1,3}_[\w-]{20,255}")),
    Kind("ATLASSIAN_TOKEN", re.compile(r"\bATATT[\w=-]{20,400}")),
    Kind("AUTH_HEADER", re.compile(r"(?i)\b(?:bearer|basic)\s{1,4}([\w.~+/=-]{8,4096})"), group=1),
    Kind("URL_PASSWORD", re.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,200}:([^\s/@]{1,200})@"), group=1),
    Kind(
        "SECRET",
        re.compile(
            r"(?i)(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|authorization|cookie)"
            r"[\"']{0,2}\s{0,4}[=:]\s{0,4}[\"']?([^\s\"',;&]{4,4096})"
        ),
        group=1,
    ),
    Kind("EMAIL", re.compile(r"[\w.%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")),
    Kind("IP", re.compile(r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.])")),
    Kind("IBAN", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), accepts=_iban),
    Kind("CARD", re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w.]?\d)"), accepts=_luhn),
    Kind("SSN", re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")),
    Kind(
        "PHONE",
        re.compile(r"(?<![\w.:-])(?:\+\d{1,3}[ .-]?)(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,4}){1,4}(?![\w-]|\.\d)"),
    ),
)


class Redactor:
    """Replaces sensitive text; two redactors with the same key give the same placeholders."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, text: str) -> str:
        """The text, cleaned, cut at MAX_CHARACTERS and with every known kind replaced. Idempotent."""
        source = clean(text[:MAX_CHARACTERS])
        spans = self._spans(source)
        pieces, end = [], 0
        for start, stop, placeholder in sorted(spans):
            pieces += [source[end:start], placeholder]
            end = stop
        return "".join([*pieces, source[end:]])

    def _spans(self, source: str) -> list[tuple[int, int, str]]:
        """Where to put which placeholder; the first kind that claims a character keeps it."""
        taken = bytearray(len(source))
        spans = []
        for match in _PLACEHOLDER.finditer(source):
            taken[match.start() : match.end()] = b"\1" * (match.end() - match.start())
        for kind in _KINDS:
            for match in kind.pattern.finditer(source):
                start, stop = match.span(kind.group)
                if not any(taken[start:stop]) and kind.accepts(source[start:stop]):
                    taken[start:stop] = b"\1" * (stop - start)
                    spans.append((start, stop, f"[{kind.name}:{self._tag(source[start:stop])}]"))
        return spans

    def _tag(self, value: str) -> str:
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:6]


def redact(text: str, *, key: bytes = b"handrail") -> str:
    """The text with secrets and personal data replaced; give a key of your own so that tags cannot be guessed."""
    return Redactor(key)(text)


def clean(text: str) -> str:
    """The text in NFC without control, ANSI, bidi, zero-width and tag characters; new lines and tabs stay."""
    return _INVISIBLE.sub("", _ANSI.sub("", unicodedata.normalize("NFC", text)))

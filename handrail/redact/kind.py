"""What a kind of sensitive text is: a name for its placeholder, and where a text holds it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

Span = tuple[int, int]

# Stands where something was found already. `clean` takes it out of every text, so that it is never anything else.
BARRIER = "\x00"


def as_it_is(value: str) -> str:
    """The value itself."""
    return value


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of sensitive text.

    `find` takes time in proportion to the text, whatever the text, and never reaches into a BARRIER. In every text
    that holds the kind one of `hints` occurs (in lower case), if there are any. Values that are equal in their
    `canonical` form get equal placeholders.
    """

    name: str
    find: Callable[[str], Iterable[Span]]
    hints: tuple[str, ...] = ()
    canonical: Callable[[str], str] = as_it_is


def matches(
    pattern: str | re.Pattern[str], *, accepts: Callable[[str], object] | None = None, group: int = 0
) -> Callable[[str], Iterator[Span]]:
    """Finds a pattern, or a group of it, where the value is accepted."""
    compiled = re.compile(pattern)

    def find(text: str) -> Iterator[Span]:
        for match in compiled.finditer(text):
            if match.group(group) and (accepts is None or accepts(match.group(group))):
                yield match.span(group)

    return find


def token(name: str, pattern: str, *hints: str) -> Kind:
    """A token with a prefix of its own, found whatever stands before and after it.

    The pattern has no boundary on the left, as a token may follow a letter, and its last run has no upper bound: what
    follows is taken along. It fails only after a bounded number of characters, which makes it linear.
    """
    return Kind(name, matches(pattern), hints)

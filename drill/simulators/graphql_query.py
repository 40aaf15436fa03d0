"""As much of GraphQL as Cloudflare's analytics need: one query of nested fields, arguments and variables."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_WORD = re.compile(r'[A-Za-z_]\w*|"[^"]*"|\d+|[{}():$!]')


class NotAQuery(Exception):
    """The text is not a query, or names a variable that was not given."""


@dataclass
class Node:
    """A field of a query with its arguments and what it selects."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)

    def paths(self, prefix: str = "") -> Iterator[str]:
        """Every leaf below, as a path, e.g. sum.requests."""
        for child in self.children:
            if child.children:
                yield from child.paths(f"{prefix}{child.name}.")
            else:
                yield prefix + child.name


def parse(query: str, variables: Mapping[str, Any]) -> list[Node]:
    """What the query selects, with its variables put in."""
    words = deque(_WORD.findall(query[query.find("{") :]))
    try:
        return _selection(words, variables)
    except (IndexError, KeyError) as error:
        raise NotAQuery(query) from error


def _selection(words: deque[str], variables: Mapping[str, Any]) -> list[Node]:
    _take(words, "{")
    nodes: list[Node] = []
    while (name := words.popleft()) != "}":
        node = Node(name)
        if words[0] == "(":
            words.popleft()
            node.arguments = _arguments(words, variables, ")")
        if words[0] == "{":
            node.children = _selection(words, variables)
        nodes.append(node)
    return nodes


def _arguments(words: deque[str], variables: Mapping[str, Any], end: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while (name := words.popleft()) != end:
        _take(words, ":")
        value = words.popleft()
        if value == "{":
            found[name] = _arguments(words, variables, "}")
        elif value == "$":
            found[name] = variables[words.popleft()]
        else:
            found[name] = value.strip('"')
    return found


def _take(words: deque[str], expected: str) -> None:
    if (found := words.popleft()) != expected:
        raise NotAQuery(f"{found} instead of {expected}")

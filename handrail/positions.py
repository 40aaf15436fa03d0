"""YAML that remembers on which line each value stands, and refuses a key that is written twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml


class YamlError(Exception):
    """The text is not YAML we accept; `line` counts from 1."""

    def __init__(self, text: str, line: int | None) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


@dataclass(frozen=True, slots=True)
class Positions:
    """Line numbers, from 1, by path."""

    lines: dict[tuple[str, ...], int]

    def line(self, path: Sequence[str]) -> int | None:
        """The line of the value at `path`, or of its nearest parent that exists."""
        for end in range(len(path), -1, -1):
            if (found := self.lines.get(tuple(path[:end]))) is not None:
                return found
        return None


def parse_yaml(text: str) -> tuple[object, Positions]:
    """The document and the line of every value in it; YamlError names the line of what is wrong."""
    lines: dict[tuple[str, ...], int] = {}
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None, Positions(lines)
        _walk(node, (), lines)
        return loader.construct_document(node), Positions(lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise YamlError(f"is not valid YAML: {error.problem}", mark.line + 1 if mark else None) from error
    except yaml.YAMLError as error:
        raise YamlError(f"is not valid YAML: {error}", None) from error


def _walk(node: yaml.Node, path: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _walk(item, (*path, str(i)), lines)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise YamlError(f"{'.'.join((*path, name))} is written twice; keep one", key.start_mark.line + 1)
            seen.add(name)
            lines[(*path, name)] = key.start_mark.line + 1
            _walk(value, (*path, name), lines)

"""What Jira accepts as content: documents (ADF), summaries, labels and the little JQL that Handrail needs."""

from __future__ import annotations

import json
import re
from typing import Any

CONTENT_LIMIT = 32_767
SUMMARY_LIMIT = 255
LABEL_LIMIT = 255

_BLOCKS = frozenset(
    {
        "blockquote",
        "blockCard",
        "bulletList",
        "codeBlock",
        "decisionList",
        "expand",
        "heading",
        "mediaGroup",
        "mediaSingle",
        "orderedList",
        "panel",
        "paragraph",
        "rule",
        "table",
        "taskList",
    }
)


def content_problem(value: Any, *, document: bool) -> str | None:
    """Why Jira would refuse this description or comment; None if it would take it."""
    if not document:
        if not isinstance(value, str):
            return "Operation value must be a string"
        return "CONTENT_LIMIT_EXCEEDED" if _length(value) > CONTENT_LIMIT else None
    if not isinstance(value, dict) or value.get("type") != "doc":
        return "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
    if value.get("version") != 1 or not isinstance(value.get("content"), list):
        return "INVALID_INPUT"
    if any(not isinstance(node, dict) or node.get("type") not in _BLOCKS for node in value["content"]):
        return "INVALID_INPUT"
    if not all(map(_node_is_sound, value["content"])):
        return "INVALID_INPUT"
    return "CONTENT_LIMIT_EXCEEDED" if _length(json.dumps(value, ensure_ascii=False)) > CONTENT_LIMIT else None


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _node_is_sound(node: Any) -> bool:
    if not isinstance(node, dict) or not isinstance(node.get("type"), str):
        return False
    if node["type"] == "text":
        return isinstance(node.get("text"), str) and bool(node["text"])
    if not isinstance(node.get("attrs", {}), dict):
        return False
    content = node.get("content", [])
    return isinstance(content, list) and all(map(_node_is_sound, content))


def plain_text(value: Any) -> str:
    """The words of a document, or wiki text as it is; blocks end in a line break."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(plain_text, value))
    if not isinstance(value, dict):
        return ""
    if value.get("type") == "hardBreak":
        return "\n"
    inner = str(value.get("text", "")) + plain_text(value.get("content", []))
    return inner + "\n" if value.get("type") in ("paragraph", "heading", "codeBlock", "tableRow") else inner


def summary_problem(value: Any) -> str | None:
    """Why Jira would refuse this summary."""
    if not isinstance(value, str) or not value.strip():
        return "You must specify a summary of the issue."
    if "\n" in value or "\r" in value:
        return "The summary is invalid because it contains newline characters."
    return f"Summary must be less than or equal to {SUMMARY_LIMIT} characters." if len(value) > SUMMARY_LIMIT else None


def labels_problem(value: Any) -> str | None:
    """Why Jira would refuse these labels."""
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        return "Labels must be a list of strings"
    for label in value:
        if not label or re.search(r"\s", label):
            return f"The label '{label}' contains spaces which is invalid."
        if len(label) > LABEL_LIMIT:
            return f"The label '{label[:20]}…' exceeds the maximum length of {LABEL_LIMIT} characters."
    return None


class JqlError(Exception):
    """The query is not understood, or not bounded."""


_LITERAL = r'(?:"(?:[^"\\]|\\.)*"|[^\s,()"]+)'
_CLAUSE = re.compile(rf"(\w+) ?(!=|=|not in|in) ?({_LITERAL}|\( ?{_LITERAL}(?: ?, ?{_LITERAL})* ?\))", re.IGNORECASE)
_FIELDS = frozenset({"project", "labels", "status", "statuscategory", "key", "issuekey"})


class Jql:
    """One query: clauses joined by AND, and an order by creation. Anything else is a JqlError, never ignored."""

    def __init__(self, text: str) -> None:
        where, _, order = re.sub(r"\s+", " ", text.strip()).partition(" ORDER BY ")
        if not order:
            where, _, order = where.partition(" order by ")
        if order and not re.fullmatch(r"(?i)(created|key|id|updated)( asc| desc)?", order.strip()):
            raise JqlError(f"Error in the JQL Query: cannot order by '{order}'")
        self.newest_first = order.strip().lower().endswith("desc")
        self._clauses = [self._clause(part) for part in re.split(r"(?i) and ", where) if part.strip()]
        if not self._clauses:
            raise JqlError("Unbounded JQL queries are not allowed here. Please add a search restriction to your query.")

    @staticmethod
    def _clause(text: str) -> tuple[str, bool, frozenset[str]]:
        found = _CLAUSE.fullmatch(text.strip())
        if not found or found[1].lower() not in _FIELDS:
            raise JqlError(f"Error in the JQL Query: '{text}' is not understood")
        values = frozenset(literal.strip('"').replace('\\"', '"').lower() for literal in re.findall(_LITERAL, found[3]))
        return found[1].lower(), found[2].lower() in ("=", "in"), values

    def matches(self, facts: dict[str, frozenset[str]]) -> bool:
        """Does an issue with these facts (field in lower case → lower-case values) fit every clause?"""
        return all(bool(facts[name] & values) is wanted for name, wanted, values in self._clauses)

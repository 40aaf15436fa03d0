"""Who is told of an alert: Alertmanager's routes as rendered, followed as Alertmanager follows them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_MATCHER = re.compile(r'\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*"?((?:[^"\\]|\\.)*?)"?\s*')


def receivers_of(alertmanager: Mapping[str, Any], labels: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The receivers of an alert with these labels (alertname among them), in the order in which they are told."""
    by_name = {receiver["name"]: receiver for receiver in alertmanager["receivers"]}
    names = dict.fromkeys(_names(alertmanager["route"], labels))
    return [by_name[name] for name in names]


def _names(route: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[str]:
    """A route's children are asked in order, up to the first that takes the alert and does not say `continue`."""
    taken = False
    for child in route.get("routes", []):
        if all(_fits(matcher, labels) for matcher in child.get("matchers", [])):
            taken = True
            yield from _names({"receiver": route["receiver"], **child}, labels)
            if not child.get("continue", False):
                return
    if not taken:
        yield route["receiver"]


def _fits(matcher: str, labels: Mapping[str, str]) -> bool:
    found = _MATCHER.fullmatch(matcher)
    if found is None:
        raise ValueError(f"{matcher!r} is no matcher")
    name, operator, wanted = found.groups()
    value = labels.get(name, "")
    fits = value == wanted if operator in ("=", "!=") else re.fullmatch(wanted, value) is not None
    return fits != operator.startswith("!")

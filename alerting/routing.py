"""Who is told of an alert: Alertmanager's routes as rendered, followed as Alertmanager follows them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_MATCHER = re.compile(r'\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*"?((?:[^"\\]|\\.)*?)"?\s*')


@dataclass(frozen=True, slots=True)
class Told:
    """A receiver as configured, and the names of the times in which it is told; none of them is at any time."""

    receiver: Mapping[str, Any]
    only_in: tuple[str, ...] = ()


def told(alertmanager: Mapping[str, Any], labels: Mapping[str, str]) -> list[Told]:
    """Who is told of an alert with these labels (alertname among them), in that order."""
    by_name = {receiver["name"]: receiver for receiver in alertmanager["receivers"]}
    return [
        Told(by_name[route["receiver"]], tuple(route.get("active_time_intervals", ())))
        for route in _taking(alertmanager["route"], labels)
    ]


def _taking(route: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """A route's children are asked in order, up to the first that takes the alert and does not say `continue`."""
    taken = False
    for child in route.get("routes", []):
        if all(_fits(matcher, labels) for matcher in child.get("matchers", [])):
            taken = True
            yield from _taking({"receiver": route["receiver"], **child}, labels)
            if not child.get("continue", False):
                return
    if not taken:
        yield route


def _fits(matcher: str, labels: Mapping[str, str]) -> bool:
    found = _MATCHER.fullmatch(matcher)
    if found is None:
        raise ValueError(f"{matcher!r} is no matcher")
    name, operator, wanted = found.groups()
    value = labels.get(name, "")
    fits = value == wanted if operator in ("=", "!=") else re.fullmatch(wanted, value) is not None
    return fits != operator.startswith("!")

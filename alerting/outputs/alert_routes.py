"""Alertmanager's configuration as the spec of an AlertmanagerConfig (monitoring.coreos.com/v1alpha1).

Every setting either has its place there or is refused: nothing is left out without a word. Secrets become references
to keys of one Secret. v1alpha1, because it is what the operator's CRD serves without a conversion webhook.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from alerting.outputs.documents import CannotExpress, Document, secret_name

_MATCHER = re.compile(r'\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*')
_DAYS = re.compile(r"(-?\d+)(?::(-?\d+))?")
_ROOT = {"route", "receivers", "inhibit_rules", "time_intervals"}


def spec(alertmanager: Document, secret: str) -> dict[str, Any]:
    """The spec; CannotExpress names the setting that has no place. `secret` holds what files hold."""
    if unknown := sorted(set(alertmanager) - _ROOT):
        raise CannotExpress(f"an AlertmanagerConfig has no {', '.join(unknown)}; set it in the Alertmanager resource")
    translate = _Translation(secret)
    translated: dict[str, Any] = translate.mapping(alertmanager)
    if intervals := translated.pop("timeIntervals", None):
        translated["muteTimeIntervals"] = intervals
    return translated


class _Translation:
    """Renames keys and replaces the values that have another shape in the resource."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._names: dict[str, str] = {}
        # By the key in Alertmanager's file: the key in the resource, and what becomes of the value.
        self._special: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
            "matchers": ("matchers", _matchers),
            "source_matchers": ("sourceMatch", _matchers),
            "target_matchers": ("targetMatch", _matchers),
            "credentials_file": ("credentials", self._reference),
            "api_url_file": ("apiURL", self._reference),
            "url_file": ("urlSecret", self._reference),
            "auth_password_file": ("authPassword", self._reference),
            "require_tls": ("requireTLS", bool),
            "headers": ("headers", lambda headers: [{"key": key, "value": text} for key, text in headers.items()]),
            "days_of_month": ("daysOfMonth", lambda days: [_days(text) for text in days]),
        }

    def mapping(self, value: Document) -> dict[str, Any]:
        return dict(self._pair(key, item) for key, item in value.items() if not _is_default(key, item))

    def _pair(self, key: str, value: Any) -> tuple[str, Any]:
        if key in self._special:
            name, change = self._special[key]
            return name, change(value)
        if key.endswith("_file"):
            raise CannotExpress(f"an AlertmanagerConfig reads no files, and {key} is not known as a secret")
        return _camel(key), self._value(value)

    def _value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self.mapping(value)
        return [self._value(item) for item in value] if isinstance(value, list) else value

    def _reference(self, path: str) -> dict[str, str]:
        return {"name": self._secret, "key": secret_name(path, self._names)}


def _camel(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _matchers(matchers: list[str]) -> list[dict[str, str]]:
    return [_matcher(text) for text in matchers]


def _matcher(text: str) -> dict[str, str]:
    found = _MATCHER.fullmatch(text)
    if not found:
        raise CannotExpress(f'the matcher {text!r} cannot be taken apart; write it as name="value"')
    name, kind, value = found.groups()
    return {"name": name, "matchType": kind, "value": re.sub(r"\\(.)", r"\1", value)}


def _days(text: str) -> dict[str, int]:
    found = _DAYS.fullmatch(text)
    if not found:
        raise CannotExpress(f"{text!r} is not a range of days of the month; write e.g. 1:5")
    start, end = found.groups()
    return {"start": int(start), "end": int(end or start)}


def _is_default(key: str, value: Any) -> bool:
    """Times are in UTC there, and there is no other time zone."""
    if key != "location":
        return False
    if value != "UTC":
        raise CannotExpress(f"an AlertmanagerConfig has no time zone; give the times of {value} in UTC")
    return True

"""Files for `mimirtool rules load` and `mimirtool alertmanager load`.

Mimir's Alertmanager refuses every setting that names a file, because it has none of its tenants' files. Its
configuration is a template therefore: `${NAME}` stands for a secret, to be filled in on the way to Mimir.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alerting.outputs.documents import CannotExpress, Document, Documents, Files, secret_name
from alerting.outputs.prometheus import dashboard_text

NAMESPACE = "handrail"
# The keys that name a file, and the ones that take the secret itself.
_SECRETS = {
    "credentials_file": "credentials",
    "api_url_file": "api_url",
    "url_file": "url",
    "auth_password_file": "auth_password",
}


@dataclass(frozen=True, slots=True)
class Mimir:
    """`webhook_url` is where Mimir, which may be far away, reaches the receiver."""

    webhook_url: str

    def files(self, documents: Documents) -> Files:
        """rules.yaml, alertmanager.yaml.tmpl, and dashboards/ when there are any."""
        # Mimir evaluates a group every minute where nothing else is said.
        interval = documents.prometheus["global"]["evaluation_interval"]
        groups = [{"interval": interval, **group} for group in documents.rules["groups"]]
        return {
            "rules.yaml": {"namespace": NAMESPACE, "groups": groups},
            "alertmanager.yaml.tmpl": _filled_in_later(documents.alertmanager, {}),
            **{f"dashboards/{name}": dashboard_text(board) for name, board in documents.dashboards.items()},
        }


def _filled_in_later(value: Document, names: dict[str, str]) -> dict[str, Any]:
    return dict(_pair(key, item, names) for key, item in value.items())


def _pair(key: str, value: Any, names: dict[str, str]) -> tuple[str, Any]:
    if key in _SECRETS:
        return _SECRETS[key], f"${{{_variable(secret_name(value, names))}}}"
    if key.endswith("_file"):
        raise CannotExpress(f"Mimir reads no files, and {key} is not known as a secret")
    return key, _value(value, names)


def _value(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, Mapping):
        return _filled_in_later(value, names)
    return [_value(item, names) for item in value] if isinstance(value, list) else value


def _variable(name: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")

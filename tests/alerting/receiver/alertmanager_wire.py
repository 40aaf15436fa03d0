"""Alertmanager's API as far as the receiver asks it: alerts, and the groups they are told in."""

from __future__ import annotations

from typing import Any

import httpx


class AlertmanagerWire:
    """Knows the alerts of notifications it was given; `mute` and `forget` change them, `broken` is answered instead."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}
        self.broken: httpx.Response | None = None
        self.away = False

    def fires(self, notification: dict[str, Any]) -> None:
        """Prometheus told it of these alerts."""
        for alert in notification["alerts"]:
            status = {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []}
            rest = {"endsAt": "2030-01-01T00:00:00Z", "receivers": [{"name": "receiver"}], "status": status}
            self.known[alert["fingerprint"]] = (notification["groupLabels"], alert | rest)

    def mute(self, how: str) -> None:
        """All it knows is silencedBy, inhibitedBy or mutedBy something."""
        for _, alert in self.known.values():
            alert["status"] = alert["status"] | {"state": "suppressed", how: ["x"]}

    def answer(self, request: httpx.Request) -> httpx.Response:
        """As `/api/v2/alerts` and `/api/v2/alerts/groups` answer."""
        if self.away:
            raise httpx.ConnectError("refused")
        if self.broken is not None:
            return self.broken
        if request.url.path == "/api/v2/alerts":
            return httpx.Response(200, json=[alert for _, alert in self.known.values()])
        groups = [
            {"labels": labels, "receiver": {"name": "receiver"}, "alerts": [alert]}
            for labels, alert in self.known.values()
        ]
        return httpx.Response(200, json=groups)

"""The files of a Prometheus and an Alertmanager that read theirs from disk."""

from __future__ import annotations

import json

from alerting.outputs.documents import Documents, Files


class PrometheusFiles:
    """rules/handrail.yml, alertmanager.yml, prometheus.yml, and dashboards/ when there are any."""

    webhook_url = None

    def files(self, documents: Documents) -> Files:
        """The same documents, each in its file."""
        dashboards = {f"dashboards/{name}": dashboard_text(board) for name, board in documents.dashboards.items()}
        return {
            "rules/handrail.yml": documents.rules,
            "alertmanager.yml": documents.alertmanager,
            "prometheus.yml": documents.prometheus,
            **dashboards,
        }


def dashboard_text(dashboard: object) -> str:
    """A dashboard as JSON that does not change unless the dashboard does."""
    return json.dumps(dashboard, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

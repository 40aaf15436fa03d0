"""Resources of the Prometheus operator, and ConfigMaps that Grafana's sidecar picks up, for one namespace.

The receiver and the exporter are reached as the Services `handrail-receiver` and `handrail-exporter`; secrets are keys
of the Secret `handrail`. Every alert carries the namespace as a label: without it the operator's default, which lets an
AlertmanagerConfig see alerts of its own namespace only, would drop all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alerting.outputs import alert_routes
from alerting.outputs.documents import CannotExpress, Document, Documents, Files
from alerting.outputs.prometheus import dashboard_text

SECRET = "handrail"  # noqa: S105 - the name of the Secret, not what is in it
# kubectl apply keeps the whole object in an annotation, and annotations may hold 256 KiB. The operator itself refuses
# what does not fit into half of the 1 MiB of a ConfigMap.
MOST_OF_A_RULE = 192 * 1024
# etcd's limit for an object is near; Kubernetes' own for the data of a ConfigMap is this.
MOST_OF_A_DASHBOARD = 1024 * 1024 - 4096
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABELS = {"app.kubernetes.io/name": "handrail", "app.kubernetes.io/part-of": "handrail"}


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """`labels` are what the cluster's selectors ask for; `receiver_port` is the port of its Service."""

    namespace: str
    labels: Mapping[str, str]
    receiver_port: int

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.namespace):
            raise CannotExpress(f"{self.namespace!r} cannot be a namespace: letters a-z, digits and '-', at most 63")

    @property
    def webhook_url(self) -> str:
        """The receiver's Service."""
        return f"http://{self._service('handrail-receiver')}:{self.receiver_port}/v1/alerts"

    def files(self, documents: Documents) -> Files:
        """One file for each kind of resource."""
        interval = documents.prometheus["global"]["evaluation_interval"]
        groups = [self._group(group, interval) for group in documents.rules["groups"]]
        dashboards: list[Document] = [
            self._dashboard(name, board) for name, board in sorted(documents.dashboards.items())
        ]
        rules: list[Document] = [
            self._resource("monitoring.coreos.com/v1", "PrometheusRule", name, {"spec": {"groups": part}})
            for name, part in _parts(groups)
        ]
        routes = {"spec": alert_routes.spec(documents.alertmanager, SECRET)}
        return {
            "prometheusrules.yaml": rules,
            "alertmanagerconfig.yaml": self._resource(
                "monitoring.coreos.com/v1alpha1", "AlertmanagerConfig", "handrail", routes
            ),
            "scrapeconfigs.yaml": list(self._scrapes(documents.prometheus)),
            **({"dashboards.yaml": dashboards} if dashboards else {}),
        }

    def _service(self, name: str) -> str:
        return f"{name}.{self.namespace}.svc"

    def _resource(
        self, version: str, kind: str, name: str, body: Document, labels: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        metadata = {"name": name, "namespace": self.namespace, "labels": {**_LABELS, **self.labels, **(labels or {})}}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}

    def _group(self, group: Document, interval: str) -> dict[str, Any]:
        """Evaluated as often as the rules were tested for: the cluster's own default may be another."""
        rules = [
            {**rule, "labels": {**rule["labels"], "namespace": self.namespace}} if "alert" in rule else rule
            for rule in group["rules"]
        ]
        return {"interval": interval, **group, "rules": rules}

    def _scrapes(self, prometheus: Document) -> Iterator[dict[str, Any]]:
        """Of the cluster's Prometheus and Alertmanager somebody takes care already; the names of the jobs matter."""
        for job in prometheus["scrape_configs"]:
            name = job["job_name"]
            if name in ("prometheus", "alertmanager"):
                continue
            spec: dict[str, Any] = {
                "jobName": name,
                "scrapeInterval": prometheus["global"]["scrape_interval"],
                "staticConfigs": [self._targets(name, static) for static in job["static_configs"]],
            }
            if "metric_relabel_configs" in job:
                spec["metricRelabelings"] = [
                    {"action": rule["action"], "sourceLabels": rule["source_labels"], "regex": rule["regex"]}
                    for rule in job["metric_relabel_configs"]
                ]
            yield self._resource("monitoring.coreos.com/v1alpha1", "ScrapeConfig", _dns(name), {"spec": spec})

    def _targets(self, job: str, static: Document) -> dict[str, Any]:
        if not job.startswith("handrail-"):
            return dict(static)
        return {"targets": [f"{self._service(job)}:{target.rpartition(':')[2]}" for target in static["targets"]]}

    def _dashboard(self, name: str, board: Document) -> dict[str, Any]:
        text = dashboard_text(board)
        if (size := len(text.encode())) > MOST_OF_A_DASHBOARD:
            raise CannotExpress(f"the dashboard {name} has {size} bytes, more than a ConfigMap may hold")
        config_map = _dns("handrail-dashboard-" + name.removesuffix(".json"))
        return self._resource("v1", "ConfigMap", config_map, {"data": {name: text}}, {"grafana_dashboard": "1"})


def _parts(groups: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """As many objects as are needed, each with its name; a group is never divided."""
    parts: list[list[dict[str, Any]]] = [[]]
    size = 0
    for group in groups:
        more = len(json.dumps(group).encode())
        if parts[-1] and size + more > MOST_OF_A_RULE:
            parts.append([])
            size = 0
        parts[-1].append(group)
        size += more
    for number, part in enumerate(parts):
        yield ("handrail" if number == 0 else f"handrail-{number + 1}"), part


def _dns(name: str) -> str:
    """A DNS-1123 label that looks like the name."""
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not _NAME.fullmatch(label):
        raise CannotExpress(f"{name!r} cannot be the name of a Kubernetes object; it is empty or longer than 63")
    return label

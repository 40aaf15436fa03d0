"""Resources for the Prometheus operator: names, sizes, namespaces, secrets by reference, and nothing left out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting.outputs.alert_routes import spec
from alerting.outputs.documents import CannotExpress, Documents, Files
from alerting.outputs.kubernetes import MOST_OF_A_DASHBOARD, MOST_OF_A_RULE, Kubernetes
from alerting.render import SecretFiles, render
from handrail.settings import parse
from tests.alerting.conftest import MINIMAL

CLUSTER = Kubernetes("ops", {"release": "prometheus"}, receiver_port=9096)
DNS_1123 = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
Resources = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def resources(rendered_once: Callable[..., Path]) -> Resources:
    """Renders a minimal file with `extra` appended; every resource of every file."""

    def run(extra: str = "") -> list[dict[str, Any]]:
        folder = rendered_once(extra, CLUSTER)
        return [found for path in sorted(folder.glob("*.yaml")) for found in yaml.safe_load_all(path.read_text())]

    return run


def kinds(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The resources of one kind."""
    return [resource for resource in found if resource["kind"] == kind]


def documents(**dashboards: object) -> Documents:
    """What there is to write when there are no rules and no routes."""
    prometheus = {"global": {"evaluation_interval": "15s", "scrape_interval": "15s"}, "scrape_configs": []}
    boards: dict[str, Any] = {f"{name}.json": board for name, board in dashboards.items()}
    return Documents({"groups": []}, {"route": {"receiver": "nobody"}}, prometheus, boards)


def test_every_resource_has_a_name_that_kubernetes_takes_and_the_labels_that_selectors_ask_for(
    resources: Resources,
) -> None:
    """DNS-1123 names, each once, in the namespace that was asked for."""
    found = resources("")
    names = [(resource["kind"], resource["metadata"]["name"]) for resource in found]
    assert len(names) == len(set(names))
    for resource in found:
        assert DNS_1123.fullmatch(resource["metadata"]["name"])
        assert resource["metadata"]["namespace"] == "ops"
        assert resource["metadata"]["labels"]["release"] == "prometheus"
    assert {kind for kind, _ in names} == {"PrometheusRule", "AlertmanagerConfig", "ScrapeConfig", "ConfigMap"}


def test_every_alert_carries_the_namespace_that_the_operator_routes_by(resources: Resources) -> None:
    """By default an AlertmanagerConfig sees alerts of its own namespace only."""
    rules = [
        rule
        for resource in kinds(resources(""), "PrometheusRule")
        for group in resource["spec"]["groups"]
        for rule in group["rules"]
    ]
    assert {rule["labels"].get("namespace") for rule in rules if "alert" in rule} == {"ops"}
    assert all("namespace" not in rule.get("labels", {}) for rule in rules if "record" in rule)


def test_groups_are_those_of_the_plain_files_and_say_how_often(
    resources: Resources, rendered: Callable[..., Path]
) -> None:
    """A cluster's own evaluation interval is another one than the rules were tested with."""
    extra = "prometheus: {evaluation_interval: 20s}"
    plain = yaml.safe_load((rendered(extra) / "rules/handrail.yml").read_text())["groups"]
    groups = [group for resource in kinds(resources(extra), "PrometheusRule") for group in resource["spec"]["groups"]]
    assert [group["name"] for group in groups] == [group["name"] for group in plain]
    assert {group["interval"] for group in groups} == {"20s", "1m", "5m"}


@pytest.mark.slow
def test_many_slas_become_several_resources_that_kubectl_can_apply(resources: Resources) -> None:
    """No group is lost or divided, and each resource stays below what an annotation holds."""
    slas = ", ".join(f"team{n}: {{}}" for n in range(30))
    found = kinds(resources(f"slas: {{default: {{}}, {slas}}}"), "PrometheusRule")
    assert [resource["metadata"]["name"] for resource in found][:2] == ["handrail", "handrail-2"]
    assert all(len(json.dumps(resource)) < MOST_OF_A_RULE + 4096 for resource in found)
    names = [group["name"] for resource in found for group in resource["spec"]["groups"]]
    assert len(names) == len(set(names))
    assert {f"handrail-sla-team{n}" for n in range(30)} < set(names)


def test_secrets_are_keys_of_one_secret(resources: Resources) -> None:
    """Under the names that kubectl gives them when it makes a Secret from the same files."""
    (config,) = kinds(resources("notify: {slack: {webhook_url_file: /elsewhere/x}}"), "AlertmanagerConfig")
    receivers = {receiver["name"]: receiver for receiver in config["spec"]["receivers"]}
    (slack,) = receivers["slack"]["slackConfigs"]
    assert slack["apiURL"] == {"name": "handrail", "key": "slack_webhook_url"}
    (webhook,) = receivers["receiver"]["webhookConfigs"]
    assert webhook["httpConfig"]["authorization"] == {
        "type": "Bearer",
        "credentials": {"name": "handrail", "key": "handrail_webhook_token"},
    }
    assert webhook["url"] == "http://handrail-receiver.ops.svc:9096/v1/alerts"
    assert "/run/secrets" not in json.dumps(config)


def test_two_secrets_of_one_file_name_are_refused(tmp_path: Path) -> None:
    """One would take the place of the other."""
    settings = parse(MINIMAL + "notify: {slack: {webhook_url_file: /b/token}}", environ={})
    with pytest.raises(CannotExpress, match="/a/token and /b/token"):
        render(settings, tmp_path, SecretFiles(Path("/a/token"), Path("/b/token")), CLUSTER)
    assert list(tmp_path.iterdir()) == []


def test_parts_are_scraped_as_services(resources: Resources) -> None:
    """The names of the jobs are those that the rules ask for."""
    found = kinds(resources("exporter: {listen: '0.0.0.0:19095'}"), "ScrapeConfig")
    assert {resource["spec"]["jobName"]: resource["spec"]["staticConfigs"] for resource in found} == {
        "handrail-exporter": [{"targets": ["handrail-exporter.ops.svc:19095"]}],
        "handrail-receiver": [{"targets": ["handrail-receiver.ops.svc:9096"]}],
    }


def test_n8n_is_scraped_for_what_the_rules_read_only(example_rendered: Callable[..., Path]) -> None:
    """Its own labels and its filter go along."""
    folder = example_rendered(CLUSTER)
    scrapes = {
        found["metadata"]["name"]: found["spec"]
        for found in yaml.safe_load_all((folder / "scrapeconfigs.yaml").read_text())
    }
    assert scrapes["n8n"]["staticConfigs"][0]["labels"]["source"] == "n8n/main"
    assert [rule["action"] for rule in scrapes["n8n"]["metricRelabelings"]] == ["keep"]


def files(**dashboards: object) -> Files:
    """The files of these dashboards and nothing else."""
    return CLUSTER.files(documents(**dashboards))


def test_a_dashboard_becomes_a_config_map_for_grafanas_sidecar() -> None:
    """With the sidecar's default label; without dashboards there is no file."""
    assert "dashboards.yaml" not in files()
    (config_map,) = files(Agents_overview={"uid": "agents", "title": "Agents"})["dashboards.yaml"]
    assert isinstance(config_map, dict)
    assert config_map["metadata"]["name"] == "handrail-dashboard-agents-overview"
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config_map["data"]["Agents_overview.json"]) == {"uid": "agents", "title": "Agents"}


def test_a_dashboard_that_no_config_map_holds_is_refused() -> None:
    """The API server would refuse it later and say less."""
    with pytest.raises(CannotExpress, match=r"the dashboard big\.json has \d+ bytes"):
        files(big={"title": "x" * MOST_OF_A_DASHBOARD})
    assert files(big={"title": "x" * (MOST_OF_A_DASHBOARD - 64)})


@pytest.mark.parametrize("name", ["Ops", "ops_1", "-ops", "a" * 64, ""])
def test_a_namespace_that_cannot_be_is_refused(name: str) -> None:
    """Before anything is written."""
    with pytest.raises(CannotExpress, match="cannot be a namespace"):
        Kubernetes(name, {}, receiver_port=9096)


def test_matchers_keep_their_operators_and_lose_their_escapes() -> None:
    """The resource has a field for each part."""
    route = {"matchers": ['a=~"x|y"', 'b!~"z"', 'c!=""', 'd="say \\"so\\""']}
    assert spec({"route": route}, "s")["route"]["matchers"] == [
        {"name": "a", "matchType": "=~", "value": "x|y"},
        {"name": "b", "matchType": "!~", "value": "z"},
        {"name": "c", "matchType": "!=", "value": ""},
        {"name": "d", "matchType": "=", "value": 'say "so"'},
    ]


def test_an_e_mail_has_other_names_and_shapes() -> None:
    """Headers are a list, the password is a key of the Secret, and no HTML stays no HTML."""
    email = {"auth_password_file": "/x/pw", "require_tls": True, "headers": {"Subject": "s"}, "html": ""}
    translated = spec({"receivers": [{"name": "e", "email_configs": [email]}]}, "s")["receivers"][0]["emailConfigs"]
    assert translated == [
        {
            "authPassword": {"name": "s", "key": "pw"},
            "requireTLS": True,
            "headers": [{"key": "Subject", "value": "s"}],
            "html": "",
        }
    ]


def test_times_of_the_week_are_kept() -> None:
    """They have another name in the resource, and days of the month another shape."""
    times = {"times": [{"start_time": "09:00", "end_time": "17:00"}], "weekdays": ["monday:friday"]}
    interval = {"name": "office", "time_intervals": [{**times, "location": "UTC", "days_of_month": ["1:5", "-1"]}]}
    assert spec({"route": {"active_time_intervals": ["office"]}, "time_intervals": [interval]}, "s") == {
        "route": {"activeTimeIntervals": ["office"]},
        "muteTimeIntervals": [
            {
                "name": "office",
                "timeIntervals": [
                    {
                        "times": [{"startTime": "09:00", "endTime": "17:00"}],
                        "weekdays": ["monday:friday"],
                        "daysOfMonth": [{"start": 1, "end": 5}, {"start": -1, "end": -1}],
                    }
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"global": {}}, "has no global"),
        ({"route": {"matchers": ["a b"]}}, "cannot be taken apart"),
        ({"receivers": [{"password_file": "/x"}]}, "password_file is not known as a secret"),
        ({"time_intervals": [{"time_intervals": [{"location": "Asia/Tokyo"}]}]}, "has no time zone"),
        ({"time_intervals": [{"time_intervals": [{"days_of_month": ["all"]}]}]}, "not a range of days"),
    ],
)
def test_what_has_no_place_is_refused_and_not_left_out(config: dict[str, Any], said: str) -> None:
    """A route that is missing a condition tells the wrong people."""
    with pytest.raises(CannotExpress, match=said):
        spec(config, "s")

"""The Prometheus operator's own CRDs take what is rendered for Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

CRDS = {
    "prometheusrules.yaml": "monitoring.coreos.com_prometheusrules.yaml",
    "alertmanagerconfig.yaml": "monitoring.coreos.com_alertmanagerconfigs.yaml",
    "scrapeconfigs.yaml": "monitoring.coreos.com_scrapeconfigs.yaml",
}


class CrdLoader(yaml.SafeLoader):
    """YAML 1.1 gives a lone `=`, which the CRDs have among a matcher's operators, a tag of its own."""


CrdLoader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


def closed(schema: Any) -> Any:
    """The schema, refusing fields that it does not name: the API server would drop them without a word."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {key: closed(value) for key, value in schema.items()}
    # Go takes flags within an expression, Python at its beginning only.
    if "(?i)" in (pattern := str(copy.get("pattern", ""))):
        copy["pattern"] = "(?i)" + pattern.replace("(?i)", "")
    keeps = {"additionalProperties", "x-kubernetes-preserve-unknown-fields"} & set(copy)
    return copy if "properties" not in copy or keeps else {**copy, "additionalProperties": False}


def validator(crd: Path, version: str) -> jsonschema.Draft202012Validator:
    """What judges a resource of that version."""
    versions = yaml.load(crd.read_text(), CrdLoader)["spec"]["versions"]  # noqa: S506 - a SafeLoader
    (schema,) = (item["schema"]["openAPIV3Schema"] for item in versions if item["name"] == version)
    schema = closed(schema)
    schema["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("settings", ["example", "odd"])
@pytest.mark.parametrize("name", CRDS)
def test_crds_take_every_resource(crds: Path, everything: Path, settings: str, name: str) -> None:
    """Every field is known and has a value of its kind."""
    documents = list(yaml.safe_load_all((everything / settings / "kubernetes" / name).read_text()))
    assert documents
    for document in documents:
        judge = validator(crds / CRDS[name], document["apiVersion"].rpartition("/")[2])
        assert [(list(error.path), error.message) for error in judge.iter_errors(document)] == []


def test_a_field_that_is_misspelt_is_noticed(crds: Path, everything: Path) -> None:
    """The judge judges."""
    document = yaml.safe_load((everything / "example/kubernetes/alertmanagerconfig.yaml").read_text())
    document["spec"]["receivers"][0]["webhookConfigs"][0]["maxAlert"] = 0
    judge = validator(crds / CRDS["alertmanagerconfig.yaml"], "v1alpha1")
    assert [error.message for error in judge.iter_errors(document)]

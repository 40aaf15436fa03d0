"""The published interface is what is served: the document, every answer to whatever is sent, and never a 5xx."""

from __future__ import annotations

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from alerting.receiver.web import interface
from tests.thorough import examples

OPERATIONS = sorted((path, method) for path, item in interface()["paths"].items() for method in item)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]


def test_the_committed_document_is_the_one_that_is_served(root, bench):
    """docs/openapi.json can be read without a receiver; `make generate` writes it."""
    committed = json.loads((root / "docs" / "openapi.json").read_text())
    assert committed == interface(), "docs/openapi.json is out of date: make generate"
    assert bench.client.get("/openapi.json").json() == committed


def test_every_path_for_programs_is_in_the_document(bench):
    """With models for what it reads and answers, and with who may use it."""
    document = interface()
    served = {
        (route.path, method.lower())
        for route in bench.receiver.app.routes
        for method in getattr(route, "methods", None) or ()
        if getattr(route, "path", "").startswith(("/v1/", "/-/", "/metrics")) and method != "HEAD"
    }
    assert served == set(OPERATIONS)
    for path, method in OPERATIONS:
        operation = document["paths"][path][method]
        assert operation["summary"]
        if method == "post":
            assert operation["security"], path
            assert "$ref" in operation["requestBody"]["content"]["application/json"]["schema"]
            assert {"400", "401", "408", "413", "415", "503"} <= operation["responses"].keys()
        for status, answer in operation["responses"].items():
            assert status == "304" or path == "/metrics" or answer["content"]["application/json"]["schema"], path
            assert "422" not in operation["responses"]


@pytest.mark.property
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda value: value.strip("/"))
def test_whatever_is_sent_is_answered_as_the_document_says(bench, path, method, tokens):
    """Right and wrong bodies, headers and paths made from it: no 5xx, and no answer that it does not name."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", bench.receiver.app)
    operation = schema[path][method]
    needed = [name for alternative in operation.definition.raw.get("security", []) for name in alternative]
    token = {"webhook": tokens["webhook"], "agent": "support-bot-token", "operator": tokens["operator"]}
    headers = {"authorization": f"Bearer {token[needed[0]]}"} if needed else {}
    cases = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]
    if "{agent}" in path:  # that of an agent that there is would not be guessed
        cases += [operation.as_strategy(path_parameters={"agent": "support-bot"})] * 2

    @settings(max_examples=examples(6), suppress_health_check=list(HealthCheck), database=None)
    @given(case=st.one_of(cases), authorised=st.integers(0, 9).map(bool))
    def answers(case, authorised):
        bench.clock.advance(10)  # so that none is refused for coming too fast
        case.call_and_validate(headers=headers if authorised else None, checks=CHECKS)

    answers()

"""Why a call failed, from what a service said."""

from __future__ import annotations

import pytest

from exporter.errors import REASONS, reason_of_failure_type, reason_of_n8n_error, reason_of_status, reason_of_text


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (408, "timeout"),
        (504, "timeout"),
        (524, "timeout"),
        (429, "rate_limited"),
        (401, "auth"),
        (403, "auth"),
        (400, "provider_error"),
        (500, "provider_error"),
        (503, "provider_error"),
        (200, "other"),
        (None, "other"),
    ],
)
def test_a_status_has_one_reason(status: int | None, reason: str) -> None:
    """Every HTTP status of the model's service stands for one reason."""
    assert reason_of_status(status) == reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"name": "NodeApiError", "httpCode": "429", "message": "x"}, "rate_limited"),
        ({"name": "NodeApiError", "httpCode": "ECONNABORTED", "message": "x"}, "timeout"),
        ({"name": "NodeApiError", "httpCode": "ECONNREFUSED", "message": "x"}, "provider_error"),
        ({"message": "Service failed", "cause": {"message": "401 no such key"}}, "auth"),
        ({"message": "x", "messages": ["503 upstream"]}, "provider_error"),
        ({"message": "Model output doesn't fit required format"}, "invalid_output"),
        ({"name": "WorkflowCrashedError", "message": "timeout"}, "crashed"),
        ({"name": "ManualExecutionCancelledError", "message": "cancelled"}, "canceled"),
        ("429 slow down", "rate_limited"),
        ("The service is receiving too many requests from you", "rate_limited"),
        ({"message": "query is not defined [line 1]"}, "other"),
        ({}, "other"),
        (None, "other"),
        (["timeout"], "other"),
        ({"message": None, "cause": "text", "messages": "text"}, "other"),
    ],
)
def test_an_n8n_error_has_one_reason(error: object, reason: str) -> None:
    """The service's own status decides before n8n's paraphrase, and what is unknown is `other`."""
    assert reason_of_n8n_error(error) == reason
    assert reason in REASONS


def test_a_number_inside_a_text_is_no_status() -> None:
    """Only a status at the beginning counts: an order number in a message says nothing."""
    assert reason_of_text("order 429 is not known") == "other"


def test_the_agents_own_failure_type_is_known_or_nothing() -> None:
    """A class name that is not known gives no reason instead of a wrong one."""
    assert reason_of_failure_type("RateLimitError") == "rate_limited"
    assert reason_of_failure_type("SomethingNew") is None

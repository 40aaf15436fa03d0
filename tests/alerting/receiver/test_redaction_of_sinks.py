"""Whatever is said beside it and wherever it comes from: nothing secret or personal gets out of the receiver."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import redaction_corpus as corpus
from tests.alerting.receiver.leaks import FIELDS, LINES, PLANTED, URLS, assert_nothing_leaked
from tests.thorough import examples

HIDDEN = st.sampled_from(["", "", "\u200b", "\x1b[31m", "\u00ad"])
TOKENS = {planted.text for planted in PLANTED[: len(corpus.tokens())]}


@st.composite
def texts(draw) -> str:
    """Some of the planted between harmless words, bare or quoted as code and as JSON; in tokens something invisible."""
    said = []
    for planted in draw(st.lists(st.sampled_from(PLANTED), min_size=1, max_size=5)):
        hidden = draw(HIDDEN) if planted.text in TOKENS else ""
        said.append(planted.text[:8] + hidden + planted.text[8:])
    joined = draw(st.sampled_from(["\n", "\n\n", " \n", "\n- "])).join(["All is well:", *said, "", draw(WORDS)])
    return draw(st.sampled_from([str, "```\n{}\n```".format, lambda text: json.dumps({"said": text})]))(joined)


WORDS = st.text(alphabet="abc \n.,;(){}|*_é語", max_size=40)


@pytest.fixture
def numbers() -> Iterator[int]:
    """A number for each example."""
    return itertools.count()


@pytest.mark.property
@settings(max_examples=examples(4), suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(data=st.data())
def test_nothing_gets_into_any_sink_however_it_is_mixed(bench, notification, log, numbers, data):
    """Hand-offs and alerts with drawn texts; nothing of them in database, Jira, log, pages, metrics or commands."""
    number = next(numbers)
    fields = {field: data.draw(texts())[:most] for field, most in FIELDS.items() if most > 1_000}
    assert bench.handoff({"confidence": 0.2} | fields, key=f"drawn-{number}").status_code == 202
    body = notification(groupLabels={"alertname": "AgentErrorRatioHigh", "number": str(number)})
    body["alerts"][0]["labels"] |= {"customer": data.draw(texts())}
    body["alerts"][0]["annotations"] |= {"description": data.draw(texts()), "dashboard_url": data.draw(texts())}
    assert bench.alert(body).status_code == 200
    bench.calls_shown = {
        "calls": [failed_call(model=data.draw(texts()), url="https://n8n.example/" + data.draw(texts()))]
    }
    bench.later(60, step=60)
    assert_nothing_leaked(bench, log)


def failed_call(**fields: object) -> dict[str, object]:
    """A call as the exporter shows it."""
    row = {"finished_at": "2026-11-23T12:00:00+00:00", "duration_s": 1.5, "outcome": "error", "model": "m", "url": None}
    return row | {"error_reason": "other"} | fields


def test_nothing_of_the_last_calls_gets_anywhere(bench, notification, log):
    """What the exporter says of an agent's last calls stands in its ticket; a URL with a secret in it is left out."""
    calls = [failed_call(model=line, url=URLS[n % len(URLS)]) for n, line in enumerate(LINES)]
    for n in range(0, len(calls), 5):
        bench.calls_shown = {"calls": [*calls[n : n + 5], failed_call(url="https://n8n.example/executions/17")][-5:]}
        bench.alert(notification(fingerprints=(f"{n:016x}",), groupLabels={"alertname": "Custom", "n": str(n)}))
        bench.drain()
    assert "https://n8n.example/executions/17" in repr(bench.jira.issues)
    assert "Last calls" in repr(bench.jira.issues)
    assert_nothing_leaked(bench, log)

"""What was asked, answered and tried is read out of n8n's executions, recorded and made up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.calls import MAX_STEPS, MAX_TEXT, Call, Transcript
from exporter.sources.n8n_execution import calls_of
from handrail.redact import BEYOND
from tests.exporter.n8n_made import AGENT, TOOL, asked, execution, items, run, used
from tests.exporter.n8n_recorded import ORIGIN, only_call, recorded, runs_of
from tests.thorough import examples

TALKING = replace(ORIGIN, transcripts=True)
KEPT = MAX_TEXT + BEYOND + 1


def unsure(output: object = '{"confidence": 0.1}') -> list[dict[str, Any]]:
    return [run("Webhook", 9, data=items("main", {"output": output}))]


def transcript(found: dict[str, Any]) -> Transcript:
    (call,) = calls_of(found, TALKING)
    assert call.transcript is not None
    return call.transcript


def of(contracts, name: str) -> Call:
    return only_call(recorded(contracts, name), TALKING)


def test_what_an_agent_was_asked_and_said(contracts):
    """A real execution with a low confidence: the question without its role, and the answer as it stands there."""
    said = of(contracts, "exec_agent_low_confidence").transcript
    assert (said.prompt, said.response) == ("refund?", '{"answer": "maybe refund", "confidence": 0.31}')
    assert (said.tool_errors, said.steps) == ((), ())


def test_what_a_tool_said_that_failed(contracts):
    """A real one whose tool failed: with what it was given and n8n's own word of the kind of error."""
    said = of(contracts, "exec_agent_tool_error_code").transcript
    assert (said.prompt, said.response) == ("order 7", "I could not look it up")
    assert said.tool_errors == (("lookup_order", "query is not defined [line 1] (ReferenceError)"),)
    assert said.steps == ('lookup_order {"query": "7"} failed: query is not defined [line 1] (ReferenceError)',)


def test_of_several_answers_the_least_sure_comes_first(contracts):
    """With its own question, as n8n runs the model once for each item."""
    found = recorded(contracts, "exec_agent_items")
    (agent,) = runs_of(found)["AI Agent"]
    agent["data"]["main"][0][0]["json"]["output"] = '{"answer": 0, "confidence": 0.9}'
    said = only_call(found, TALKING).transcript
    assert said.prompt == "item-1\n\nitem-2\n\nitem-3\n\nitem-0"
    assert said.response.startswith('{"answer": 1, "confidence": 0.1}\n\n{"answer": 2')


@pytest.mark.parametrize(
    ("name", "prompt", "response"),
    [
        ("exec_agent_parsed", "hello", '{"answer": "maybe", "confidence": 0.2}'),
        ("exec_chain_ok", "hello", '{"answer": "refund", "confidence": 0.97}'),
        ("exec_openai_node_ok", "hello", '{"answer": "refund", "confidence": 0.97}'),
    ],
)
def test_every_kind_of_node_tells(contracts, name, prompt, response):
    """With an output parser, a chain, and a message to a model, where the question is what went into the node."""
    said = of(contracts, name).transcript
    assert (said.prompt, said.response) == (prompt, response)


def test_the_answer_to_a_plain_request_is_the_last_nodes(contracts):
    """A workflow that asks a model over HTTP: what went into the workflow, and the message that came out."""
    said = of(contracts, "exec_http_ok").transcript
    assert (said.prompt, said.response) == ("hello", '{"answer": "refund", "confidence": 0.97}')


def test_nothing_is_gathered_where_nothing_is_handed_over(contracts):
    """Neither of an agent whose hand-offs have no texts, nor of a call that nobody has to look at."""
    assert only_call(recorded(contracts, "exec_agent_low_confidence")).transcript is None
    assert of(contracts, "exec_agent_ok_tool_chat").transcript is None


def test_what_n8n_itself_has_blanked_stays_so(contracts):
    """An execution that n8n redacted: nothing, also not the tool's arguments that n8n leaves in its metadata."""
    found = recorded(contracts, "exec_redacted_agent")
    runs_of(found)["Calculator"][0] |= {"executionStatus": "error", "redactedError": {"type": "NodeApiError"}}
    said = only_call(found, TALKING).transcript
    assert (said.prompt, said.response) == ("", "")
    assert said.steps == ("Calculator failed: NodeApiError",)
    assert "SECRET-ARG" not in str((said.prompt, said.response, said.tool_errors, said.steps))


def test_a_transcript_is_never_shown():
    """Neither in the representation of the call, which may get into a log, nor in its own."""
    call = transcript(execution(model=[asked("Human: hunter2")], agent=unsure()))
    assert call.prompt == "hunter2"
    assert "hunter2" not in repr(call)


@pytest.mark.parametrize(
    ("conversation", "question"),
    [
        ("Human: hello", "hello"),
        ("System: Be kind.\nHuman: two\nlines", "two\nlines"),
        ("Human: first\nAI: yes\nHuman: and second", "and second"),
        ("Human: a\nHuman: b", "a\nHuman: b"),
        ("Human: a\nAI: [1]\nTool: [2]", "a"),
        ("System: only this", "System: only this"),
    ],
)
def test_the_question_is_what_the_person_said_last(conversation, question):
    """n8n writes a conversation as one text with a line for each message."""
    assert transcript(execution(model=[asked(conversation)], agent=unsure())).prompt == question


def test_later_turns_are_not_asked_again():
    """They repeat the first one, with the tools' answers after it; a second item is another question."""
    first = "Human: one\nAI: [call]\nTool: [x]"
    models = [asked("Human: one", at=1), asked(first, at=2), asked("Human: two", at=3)]
    assert transcript(execution(model=models, agent=unsure())).prompt == "one\n\ntwo"


def test_of_a_webhook_only_the_body_is_quoted():
    """Its headers hold cookies and tokens."""
    got = {"headers": {"authorization": "Bearer x"}, "body": {"prompt": "a", "customer": 1}, "query": {"token": "y"}}
    found = execution(webhook=[run(data=items("main", got))], agent=unsure())
    assert transcript(found).prompt == '{"prompt": "a", "customer": 1}'


def test_without_an_answer_the_models_last_words_count():
    """The agent failed after its model had said something and a tool had not."""
    agent = run("Webhook", 9, executionStatus="error", error={"message": "Max iterations (10) reached."})
    tools = [used({"query": "17"}, at=1, error="orders are down"), used({"query": "18"}, at=2)]
    said = transcript(execution(model=[asked("Human: x", "Let me look.")], tool=tools, agent=[agent]))
    assert said.response == "Let me look."
    assert said.tool_errors == ((TOOL, "orders are down"),)
    assert said.steps == (
        f'{TOOL} {{"query": "17"}} failed: orders are down',
        f'{TOOL} {{"query": "18"}} worked',
        f"{AGENT} failed: Max iterations (10) reached.",
    )


def test_of_very_many_steps_the_first_and_the_last_are_told():
    """And how many there were in between."""
    tools = [used({"n": n}, at=n, error="down") for n in range(100)]
    said = transcript(execution(tool=tools, agent=unsure()))
    assert len(said.steps) == MAX_STEPS
    assert said.steps[10] == "71 more steps"
    assert said.steps[-1] == f'{TOOL} {{"n": 99}} failed: down'


def test_no_text_is_longer_than_what_is_read_of_it():
    """However much a model or a customer says."""
    long = "x" * 1_000_000
    models, tools = [asked(f"Human: {long}", long)], [used({"query": long}, error={"message": long})]
    said = transcript(execution(model=models, tool=tools, agent=unsure(long)))
    texts = [said.prompt, said.response, *said.steps, *(error for _, error in said.tool_errors)]
    assert {len(text) for text in texts} == {KEPT}


NAMES = "json message messages output content text body headers error description choices response generations"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(NAMES.split()), each, max_size=3),
    max_leaves=12,
)


@pytest.mark.property
@settings(max_examples=examples(60))
@given(JSON, JSON, JSON, JSON)
def test_whatever_is_recorded_can_be_read(given_, answer, error, output):
    """Strange values are nothing or text, never an error, and the result is text that can be sent."""
    tool = run(AGENT, 1, inputOverride={"ai_tool": [[given_]]}, executionStatus="error", error=error)
    model = run(AGENT, 2, inputOverride={"ai_languageModel": [[given_]]}, data={"ai_languageModel": [[answer]]})
    agent = run("Webhook", 3, data={"main": [[{"json": output}]]})
    found = execution(webhook=[run(data={"main": [[{"json": answer}]]})], model=[model], tool=[tool], agent=[agent])
    for call in calls_of(found, TALKING):
        said = call.transcript
        json.dumps(said and [said.prompt, said.response, said.tool_errors, said.steps])

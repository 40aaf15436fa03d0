"""What was said in a call, as n8n recorded it: the question, the answer, and the tools used on the way. Pure.

All of it is untrusted and may hold secrets. Each text is of bounded length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence

from exporter.calls import MAX_STEPS, MAX_TEXT, Transcript
from exporter.sources.n8n_runs import Run, Runs
from exporter.sources.reading import Json, listing, mapping
from handrail.redact import BEYOND

# A text that was cut here is longer than what is read of it to redact it, so that it is known to have been cut.
_KEPT = MAX_TEXT + BEYOND + 1
_MOST_ITEMS = 20
_FIRST_STEPS = 10
# How n8n flattens a conversation: a line for each message, which begins with the role.
_ROLE = re.compile(r"^(Human|System|AI|Tool|Function): ", re.MULTILINE)


def transcript_of(
    runs: Runs, answered: Sequence[Run], below: Sequence[Run], sureness: Callable[[Json], float | None]
) -> Transcript:
    """Of the runs that answered, and those below them. Where there are several answers, the least sure come first."""
    items = [item for run in answered for item in run.items() if item]
    unsure_first = sorted(range(len(items)), key=lambda number: _or_sure(sureness(items[number])))[:_MOST_ITEMS]
    asked = _questions(below)
    if len(asked) == len(items):
        asked = [asked[number] for number in unsure_first]
    response = _joined([text for number in unsure_first if (text := _text_of_answer(items[number]))])
    return Transcript(
        prompt=_joined(asked[:_MOST_ITEMS]) or _input_of(runs, answered),
        response=response or _last_words(below),
        tool_errors=tuple({run.node: _failure(run) for run in below if run.is_tool and run.failed}.items()),
        steps=_steps(below, answered),
    )


def outputs(item: Json) -> Iterator[object]:
    """The agent's answers within an item, wherever the kind of node puts them: text, parsed, choices or the item."""
    choices, output = item.get("choices"), item.get("output")
    if isinstance(output, list):
        contents = [content for part in output for content in listing(mapping(part).get("content"))]
        yield from (mapping(content).get("text") for content in contents)
    elif output is not None:
        yield output
    elif isinstance(choices, list):
        yield from (mapping(mapping(choice).get("message")).get("content") for choice in choices)
    elif item.get("text") is not None:
        yield item["text"]
    elif isinstance(item.get("message"), dict):
        yield item["message"].get("content")
    else:
        yield item


def _or_sure(confidence: float | None) -> float:
    return 2.0 if confidence is None else confidence


def _text_of_answer(item: Json) -> str:
    return "\n".join(_text(answer) for answer in outputs(item) if answer)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value[:_KEPT]
    try:
        return json.dumps(value, ensure_ascii=False)[:_KEPT]
    except RecursionError:
        return ""


def _joined(texts: Sequence[str]) -> str:
    return "\n\n".join(texts)[:_KEPT]


def _questions(below: Sequence[Run]) -> list[str]:
    """What models were asked first, for each item; later turns repeat it and go on with the tools' answers."""
    conversations: list[str] = []
    for run in below:
        if run.is_model and len(conversations) < _MOST_ITEMS:
            said = _conversation(run)
            if said and not any(said.startswith(before) for before in conversations):
                conversations.append(said)
    return [question for said in conversations if (question := _last_question(said))]


def _conversation(run: Run) -> str:
    override = mapping(run.raw.get("inputOverride")).get("ai_languageModel")
    items = [mapping(mapping(item).get("json")) for branch in listing(override) for item in listing(branch)]
    return "\n".join(said for item in items for said in listing(item.get("messages")) if isinstance(said, str))


def _last_question(conversation: str) -> str:
    """What the person said last; a line of it may look like a message of its own, which n8n does not tell apart."""
    roles = list(_ROLE.finditer(conversation))
    last = next((n for n in range(len(roles) - 1, -1, -1) if roles[n][1] == "Human"), None)
    if last is None:
        return conversation[:_KEPT]
    end = roles[last + 1].start() if last + 1 < len(roles) else len(conversation)
    while last and roles[last - 1][1] == "Human":
        last -= 1
    return conversation[roles[last].end() : end].strip()[:_KEPT]


def _input_of(runs: Runs, answered: Sequence[Run]) -> str:
    """Where no question to a model is recorded: what went into the root that answered, else into the workflow."""
    if answered and answered[0] in runs.roots:
        source = next((run for run in runs.all if (run.node, run.run_index) == answered[0].asked_by), None)
    else:
        source = next((run for run in runs.all if not run.is_sub_run), None)
    items = source.items() if source else []
    return _joined([_text(_without_headers(item)) for item in items[:_MOST_ITEMS] if item])


def _without_headers(item: Json) -> object:
    """Of a webhook its body: cookies and tokens stand in the headers. Of a single text the text."""
    content = item["body"] if "headers" in item and "body" in item else item
    if isinstance(content, dict) and len(content) == 1:
        (only,) = content.values()
        return only if isinstance(only, str) else content
    return content


def _last_words(below: Sequence[Run]) -> str:
    """What a model said last, where the agent did not come to an answer."""
    for run in reversed(below):
        for item in run.items("ai_languageModel") if run.is_model else ():
            for generations in listing(mapping(item.get("response")).get("generations")):
                for generation in listing(generations):
                    text = mapping(generation).get("text")
                    if isinstance(text, str) and text:
                        return text[:_KEPT]
    return ""


def _steps(below: Sequence[Run], answered: Sequence[Run]) -> tuple[str, ...]:
    """Each use of a tool, and what failed; of very many the first and the last."""
    told = [run for run in below if run.is_tool or run.failed] + [run for run in answered if run.failed]
    if len(told) <= MAX_STEPS:
        return tuple(map(_step, told))
    last = MAX_STEPS - _FIRST_STEPS - 1
    left_out = f"{len(told) - _FIRST_STEPS - last} more steps"
    return (*map(_step, told[:_FIRST_STEPS]), left_out, *map(_step, told[-last:]))


def _step(run: Run) -> str:
    outcome = f"failed: {_failure(run)}" if run.failed else "worked"
    given = mapping(run.raw.get("inputOverride")).get("ai_tool") if run.is_tool else None
    arguments = [mapping(mapping(item).get("json")) for branch in listing(given) for item in listing(branch)]
    with_ = " ".join(_text(each) for each in arguments if each)
    return f"{run.node[:200]} {with_} {outcome}"[:_KEPT] if with_ else f"{run.node[:200]} {outcome}"[:_KEPT]


def _failure(run: Run) -> str:
    """What a run said that failed, with the cause that n8n adds to its own words."""
    error = run.error
    if isinstance(error, str):
        return error[:_KEPT]
    known = mapping(error)
    named = known.get("message") or known.get("type")  # of redacted errors the type is what is left
    message = named if isinstance(named, str) and named else "it does not say why"
    cause = known.get("description") or known.get("httpCode")
    if isinstance(cause, str | int) and str(cause) not in message:
        message = f"{message} ({cause})"
    return message[:_KEPT]

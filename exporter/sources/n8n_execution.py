"""One n8n execution becomes the calls it made: one per run of an AI root node, or one for the execution. Pure.

Every execution that ended makes at least one call, and one that failed makes at least one that failed.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.parser import parse

from exporter.calls import Call, ToolUse, Transcript
from exporter.errors import Reason, reason_of_failure_type, reason_of_n8n_error
from exporter.sources.n8n_runs import Run, Runs, add_usages, provider_of
from exporter.sources.n8n_transcript import outputs, transcript_of
from exporter.sources.reading import mapping, moment

TERMINAL = frozenset({"success", "error", "canceled", "crashed", "unknown"})

_MAX_ITERATIONS = re.compile(r"Max iterations \(\d+\) reached|Agent stopped due to max iterations")
# What the agent of older nodes answers instead of failing.
_GAVE_UP = "Agent stopped due to max iterations."
_PLAIN_PATH = re.compile(r"\$\.([A-Za-z_][A-Za-z0-9_]*)")
_JSON_BEGINS = re.compile(r'\s*[\[{"\d-]')
_FENCE = re.compile(r"^\s*```(?:json)?\s*(.*?)\s*```\s*$", re.DOTALL)


class Unreadable(ValueError):
    """The execution lacks what every finished execution has: an id, a status and a time."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose calls these are: the source's name, the agent, where a person can look at an execution, the confidence.

    `epoch` tells executions apart whose ids were given twice, because n8n was reset or restored in between. With
    `transcripts` a call that somebody may have to look at says what was asked and answered.
    """

    source: str
    agent: str
    base_url: str = ""
    confidence: str | None = None
    epoch: int = 0
    transcripts: bool = False


@lru_cache(maxsize=256)
def finder(path: str) -> Callable[[object], list[object]]:
    """What a JSONPath finds in an answer; ValueError when it is not one."""
    try:
        parsed = parse(path)
    except (JSONPathError, ValueError, TypeError) as error:
        raise ValueError(f"{path!r} is not a JSONPath such as $.confidence") from error
    if plain := _PLAIN_PATH.fullmatch(path):
        name = plain.group(1)  # what nearly every team writes, found many times faster
        return lambda answer: [answer[name]] if isinstance(answer, dict) and name in answer else []
    return lambda answer: [match.value for match in parsed.find(answer)]


def calls_of(execution: Mapping[str, Any], origin: Origin) -> list[Call]:
    """The calls of an execution, with or without its data; none while it has not ended. Unreadable if it is none."""
    return _Reading(execution, origin).calls()


class _Reading:
    def __init__(self, execution: Mapping[str, Any], origin: Origin) -> None:
        self._origin = origin
        self._id, self._status = execution.get("id"), execution.get("status")
        if not isinstance(self._id, str) or not isinstance(self._status, str):
            raise Unreadable("an execution without an id or a status")
        self._row = execution
        self._call_id = f"{origin.epoch}:{self._id}" if origin.epoch else self._id
        self._data = mapping(execution.get("data"))
        self._result = mapping(self._data.get("resultData"))
        # A run that was stopped while it was queued never started; one that n8n forgot to end ended when it started.
        stopped, started = moment(execution.get("stoppedAt")), moment(execution.get("startedAt"))
        self._started, self._stopped = started or stopped, stopped or started
        self._has_started = started is not None
        self._runs = Runs(execution, since=started if execution.get("mode") == "retry" else None)

    def calls(self) -> list[Call]:
        if self._status not in TERMINAL:
            return []
        if self._started is None or self._stopped is None:
            raise Unreadable(f"execution {self._id} ended without a time")
        roots = self._runs.roots
        # What n8n recovers after a crash has neither durations nor data, so that it tells nothing about single runs.
        if self._status == "crashed" or not roots:
            return [self._execution_call(self._started, self._stopped)]
        whole = self._failure_of_execution()
        ran_out = [_ran_out(root) for root in roots]
        failures = [self._failure_of(root, ran_out=out) for root, out in zip(roots, ran_out, strict=True)]
        if whole and not any(failures):
            failures[-1] = whole
        elif whole in ("timeout", "canceled"):
            failures = [whole if failure else None for failure in failures]
        ended = zip(roots, failures, ran_out, strict=True)
        return [self._root_call(root, failure, ran_out=out) for root, failure, out in ended]

    def _root_call(self, root: Run, failure: Reason | None, *, ran_out: bool) -> Call:
        below = self._runs.below(root)
        start = datetime.fromtimestamp(min([root.began, *[run.began for run in below]]), UTC)
        end = datetime.fromtimestamp(max([root.ended, *[run.ended for run in below]]), UTC)
        tools = [run for run in below if run.is_tool]
        broken = sum(run.failed for run in tools)
        reason: Reason | None = failure or ("tool_error" if broken else None)
        asked = [run for run in below if run.is_model]
        models, model_calls = [root, *asked], max(len(asked), bool(provider_of(root.node_type)))
        confidence = self._confidence([root])
        return Call(
            source=self._origin.source,
            id=f"{self._call_id}/{root.node}/{root.run_index}",
            execution=self._call_id,
            agent=self._origin.agent,
            started_at=start,
            finished_at=end,
            duration=end - start,
            outcome="error" if reason else "success",
            error_reason=reason,
            model=self._model(models),
            provider=next((name for run in reversed(models) if (name := provider_of(run.node_type))), ""),
            tokens=add_usages(run.usage() for run in models),
            confidence=confidence,
            tool_calls=len(tools),
            tool_errors=broken,
            tools=_uses(tools),
            model_calls=model_calls,
            attempts=model_calls,
            retries=self._runs.retries_of(root),
            max_iterations=ran_out,
            url=self._url(),
            transcript=self._transcript([root], below, doubtful=confidence is not None or broken > 0),
        )

    def _execution_call(self, started: datetime, stopped: datetime) -> Call:
        runs = self._runs.all
        tools = [run for run in runs if run.is_tool]
        reason = self._failure_of_execution() or self._hidden_failure(runs)
        usages = [run.usage() for run in runs]
        models = [run for run, usage in zip(runs, usages, strict=True) if usage.basis != "unknown" or run.is_model]
        answered = [run for run in runs if run.node == self._result.get("lastNodeExecuted")]
        confidence, broken = self._confidence(answered), sum(run.failed for run in tools)
        return Call(
            source=self._origin.source,
            id=self._call_id,
            execution=self._call_id,
            agent=self._origin.agent,
            started_at=started,
            finished_at=max(started, stopped),
            duration=self._time_at_work(started, stopped),
            outcome="error" if reason else "success",
            error_reason=reason,
            model=self._model(models),
            provider=next((name for run in reversed(models) if (name := provider_of(run.node_type))), ""),
            tokens=add_usages(usages),
            confidence=confidence,
            tool_calls=len(tools),
            tool_errors=broken,
            tools=_uses(tools),
            model_calls=len(models),
            attempts=len(models),
            # n8n notes a crash at its next start, with the time its last node began; what was stopped in the queue
            # never started. Neither has a duration.
            timed=self._status != "crashed" and self._has_started,
            url=self._url(),
            transcript=self._transcript(
                answered, [run for run in runs if run.is_sub_run], doubtful=confidence is not None or broken > 0
            ),
        )

    def _transcript(self, answered: list[Run], below: list[Run], *, doubtful: bool) -> Transcript | None:
        """What was said, where it may be handed over: of every other call it is not even gathered."""
        if not self._origin.transcripts or not doubtful:
            return None
        return transcript_of(self._runs, answered, below, self._sureness)

    def _time_at_work(self, started: datetime, stopped: datetime) -> timedelta:
        """From start to end, without the time that a Wait node slept, which is nobody's slowness."""
        steps = [run for run in self._runs.all if not run.is_sub_run]
        if any(run.is_wait for run in steps):
            return timedelta(seconds=sum(run.ended - run.began for run in steps if not run.is_wait))
        return max(stopped - started, timedelta(0))

    def _failure_of_execution(self) -> Reason | None:
        error = self._result.get("error") or self._result.get("redactedError")
        if self._status == "success":
            return None
        if self._status == "crashed":
            return "crashed"
        if self._status == "canceled":
            by_hand = mapping(error).get("name") == "ManualExecutionCancelledError"
            seen = bool(self._data) and self._row.get("dataTooLargeToDisplay") is not True
            return "timeout" if seen and not by_hand else "canceled"
        return _first_known([error, *(run.error for run in reversed(self._runs.all) if run.failed)])

    def _failure_of(self, root: Run, *, ran_out: bool) -> Reason | None:
        """Why a root's run failed, whether n8n says so or hides it behind "continue on error"."""
        below = self._runs.below(root)
        if not root.failed:
            return self._hidden_failure([root]) or ("other" if ran_out else None)
        return self._blame(root, below, root.error)

    def _hidden_failure(self, runs: Iterable[Run]) -> Reason | None:
        for run in runs:
            if not self._runs.continues_on_error(run):
                continue
            swallowed = next((item["error"] for item in run.items() if item.get("error")), None)
            if not swallowed and not run.tracing.get("ai.agent.items.failed"):
                continue
            below = self._runs.below(run) if run in self._runs.roots else []
            return self._blame(run, below, swallowed)
        return None

    @staticmethod
    def _blame(run: Run, below: list[Run], error: object) -> Reason:
        failed = [sub for sub in reversed(below) if sub.failed]
        reason = _first_known([error, *(sub.error for sub in failed)])
        if reason != "other":
            return reason
        if traced := reason_of_failure_type(run.tracing.get("ai.agent.failure.type")):
            return traced
        if any(sub.is_model for sub in failed):
            return "provider_error"
        return "tool_error" if any(sub.is_tool for sub in failed) else "other"

    def _model(self, runs: list[Run]) -> str:
        return next((model for run in reversed(runs) if (model := self._runs.model_of(run))), "")

    def _confidence(self, runs: Iterable[Run]) -> float | None:
        """The lowest confidence among all answers: one bad answer in a list is what a person has to see."""
        if self._origin.confidence is None:
            return None
        if self._origin.confidence is None:
            return None
        stated = [self._sureness(item) for run in runs for item in run.items()]
        return min((sure for sure in stated if sure is not None), default=None)

    def _sureness(self, item: Mapping[str, Any]) -> float | None:
        """The lowest confidence among the answers of an item."""
        if self._origin.confidence is None:
            return None
        find = finder(self._origin.confidence)
        found = [value for answer in _answers(item) for value in find(answer)]
        return min((ratio for value in found if (ratio := _ratio(value)) is not None), default=None)

    def _url(self) -> str | None:
        if not self._origin.base_url:
            return None
        return f"{self._origin.base_url}/workflow/{self._row.get('workflowId')}/executions/{self._id}"


def _uses(tools: Iterable[Run]) -> tuple[ToolUse, ...]:
    """How often each tool was used, by the name of its node."""
    failures: dict[str, list[bool]] = defaultdict(list)
    for run in tools:
        failures[run.node].append(run.failed)
    return tuple(ToolUse(name, len(failed), sum(failed)) for name, failed in sorted(failures.items()))


def _ran_out(root: Run) -> bool:
    """Whether the agent reached its limit of iterations: as an error, behind "continue on error", or as its answer."""
    items = root.items()
    if any([item.get("output") == _GAVE_UP for item in items]):
        return True
    said = [error for error in [root.error, *[item.get("error") for item in items]] if error]
    texts = [text if isinstance(text, str) else mapping(text).get("message") for text in said]
    return any(isinstance(text, str) and _MAX_ITERATIONS.match(text) for text in texts)


def _first_known(errors: Iterable[object]) -> Reason:
    return next((reason for error in errors if (reason := reason_of_n8n_error(error)) != "other"), "other")


def _answers(item: Mapping[str, Any]) -> Iterator[object]:
    """The agent's answers as JSON, as far as they are."""
    yield from (_parsed(answer) for answer in outputs(item))


def _parsed(answer: object) -> object:
    if not isinstance(answer, str):
        return answer
    fenced = _FENCE.match(answer) if "```" in answer else None
    text = fenced.group(1) if fenced else answer
    if not _JSON_BEGINS.match(text):  # prose, as most answers are: told apart far sooner than by parsing it
        return None
    try:
        parsed: object = json.loads(text)
    except ValueError:
        return None
    return parsed


def _ratio(value: object) -> float | None:
    """A confidence between 0 and 1, or a percentage with its sign; anything else is no confidence."""
    if isinstance(value, str):
        text, percent = value.strip().removesuffix("%").strip(), value.strip().endswith("%")
        try:
            number = float(text) / (100 if percent else 1)
        except ValueError:
            return None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    else:
        return None
    return number if 0 <= number <= 1 else None

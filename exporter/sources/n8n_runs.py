"""What one n8n execution says about its nodes: runs with absolute times, who owns whom, usage and model. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from exporter.calls import TokenUsage
from exporter.sources.reading import Json, listing, mapping, number

_LANGCHAIN = "@n8n/n8n-nodes-langchain."
# A root node is where a question enters and an answer leaves; models, tools, parsers and memories hang below it.
_ROOT = re.compile(
    re.escape(_LANGCHAIN)
    + r"(agent|openAiAssistant|chain\w+|informationExtractor|textClassifier|sentimentAnalysis"
    + r"|openAi|anthropic|googleGemini|ollama|mistralAi)$"
)
_WAIT = "n8n-nodes-base.wait"
_UNKNOWN = TokenUsage()
_NOTHING: Json = {}
_BEGAN = attrgetter("began")
_FAILED = ("error", "crashed", "canceled")  # no set: what is recorded may be anything, also what has no hash
_HTTP = "n8n-nodes-base.httpRequest"
# n8n tries a node with "retry on fail" 3 times where it says nothing else, and never more than 5 times.
_DEFAULT_TRIES, _MOST_TRIES = 3, 5
_END_OF_TIME = 100_000_000_000  # seconds; before the year 5139, which every clock here can still write
_SECONDS_UNTIL = 100_000_000_000  # an epoch below this is in seconds: as milliseconds it would be before 1973


@lru_cache(maxsize=1024)
def is_ai_root(node_type: str) -> bool:
    """Whether a node of this type is one where an agent's call begins: an agent, a chain or a message to a model."""
    return _ROOT.match(node_type) is not None


class Run(NamedTuple):
    """One run of one node, in epoch seconds whatever unit n8n recorded them in.

    A sub-run is one that a root asked for, in contrast to a step of the main flow after it, as a tool, a model or
    something else. A run has failed when n8n itself marks it so.
    """

    node: str
    node_type: str
    run_index: int
    began: float
    ended: float
    raw: Json
    failed: bool
    is_sub_run: bool
    is_tool: bool
    is_model: bool

    @property
    def error(self) -> object:
        """What went wrong, in full or redacted; None when nothing is recorded."""
        return self.raw.get("error") or self.raw.get("redactedError")

    @property
    def tracing(self) -> Json:
        """The agent's own counters."""
        return mapping(mapping(self.raw.get("metadata")).get("tracing"))

    @property
    def is_wait(self) -> bool:
        """Whether the run only waited."""
        return self.node_type == _WAIT

    @property
    def asked_by(self) -> tuple[str, int] | None:
        """The node and run that this run came from."""
        source = self.raw.get("source")
        first = mapping(source[0]) if isinstance(source, list) and source else _NOTHING
        name, number = first.get("previousNode"), first.get("previousNodeRun")
        return (name, number if isinstance(number, int) else 0) if isinstance(name, str) else None

    def items(self, output: str = "main") -> list[Json]:
        """The JSON of every item in every branch of an output."""
        branches = mapping(self.raw.get("data")).get(output)
        if not isinstance(branches, list):
            return []
        return [mapping(mapping(item).get("json")) for branch in branches for item in listing(branch)]

    def usage(self) -> TokenUsage:
        """The tokens that this run itself recorded; unknown when it recorded none."""
        if "metadata" in self.raw and (metered := mapping(mapping(self.raw["metadata"]).get("tokenUsage"))):
            return _usage(metered.get("inputTokens"), metered.get("outputTokens"), estimate=False)
        if self.is_model:
            return add_usages(_model_usage(item) for item in self.items("ai_languageModel"))
        if self.node_type == _HTTP:
            return add_usages(_http_usage(item) for item in self.items())
        return _UNKNOWN

    def answered_by(self) -> str:
        """The model that answered, which n8n records for streamed answers only; empty when it is not recorded."""
        for item in self.items("ai_languageModel"):
            for generations in listing(mapping(item.get("response")).get("generations")):
                for generation in listing(generations):
                    name = mapping(mapping(generation).get("generationInfo")).get("model_name")
                    if isinstance(name, str) and name:
                        return name
        return ""

    def model(self) -> str:
        """The model that answered this run, else the one that was asked for; empty when neither is recorded."""
        if answered := self.answered_by():
            return answered
        override = mapping(self.raw.get("inputOverride")).get("ai_languageModel")
        for branch in listing(override):
            for item in listing(branch):
                options = mapping(mapping(mapping(item).get("json")).get("options"))
                if isinstance(options.get("model"), str):
                    return str(options["model"])
        if self.node_type == _HTTP:
            return next((str(i["model"]) for i in self.items() if isinstance(i.get("model"), str) and "usage" in i), "")
        return ""


def add_usages(usages: Iterable[TokenUsage]) -> TokenUsage:
    """The sum of what is known: an estimate as soon as one part is an estimate, unknown when no part is known."""
    known = [usage for usage in usages if usage.basis != "unknown"]
    if len(known) < 2:
        return known[0] if known else _UNKNOWN
    return TokenUsage(
        tokens_in=sum(usage.tokens_in or 0 for usage in known),
        tokens_out=sum(usage.tokens_out or 0 for usage in known),
        basis="estimate" if any(usage.basis == "estimate" for usage in known) else "actual",
    )


class Runs:
    """All runs of an execution, in the order they began, with the settings of their nodes.

    `since` drops what a retry inherited from the execution that it repeats, which counted those runs already.
    """

    def __init__(self, execution: Json, *, since: datetime | None = None) -> None:
        found = listing(mapping(execution.get("workflowData")).get("nodes"))
        self.nodes = {str(node["name"]): node for node in map(mapping, found) if "name" in node}
        recorded = mapping(mapping(mapping(execution.get("data")).get("resultData")).get("runData"))
        self.all = self._read(recorded, since.timestamp() if since else 0.0)
        # A root that another root used as a tool is a sub-node of that one.
        self.roots = [run for run in self.all if not run.is_sub_run and is_ai_root(run.node_type)]
        self._below = self._by_root() if self.roots else {}

    def _read(self, recorded: Json, floor: float) -> list[Run]:
        """All runs that began at `floor` or later, by when they began."""
        found = []
        for name, runs in recorded.items():
            node_type = str(self.nodes.get(name, _NOTHING).get("type", ""))
            for index, raw in enumerate(map(mapping, listing(runs))):
                began, took = number(raw.get("startTime")), number(raw.get("executionTime")) or 0.0
                if began is None:
                    continue
                start = began if began < _SECONDS_UNTIL else began / 1000
                end = start + took / 1000
                if floor <= start and end < _END_OF_TIME:
                    failed = raw.get("executionStatus") in _FAILED or bool(raw.get("error"))
                    roles = (*mapping(raw.get("data")), *mapping(raw.get("inputOverride")))
                    found.append(Run(name, node_type, index, start, end, raw, failed, *_parts_of(roles)))
        found.sort(key=_BEGAN)
        return found

    def below(self, root: Run) -> list[Run]:
        """The sub-node runs of a root's run, also those of sub-nodes of sub-nodes."""
        return self._below.get((root.node, root.run_index), [])

    def _by_root(self) -> dict[tuple[str, int], list[Run]]:
        """Sub-node runs by their root's run; one that names a later run than its root has belongs to the last."""
        last: dict[str, int] = {}
        for root in self.roots:
            last[root.node] = max(root.run_index, last.get(root.node, 0))
        below: dict[tuple[str, int], list[Run]] = defaultdict(list)
        by_place = {(run.node, run.run_index): run for run in self.all}
        for run in self.all:
            if run.is_sub_run and (owner := self._owner(run, by_place)) and owner[0] in last:
                below[owner[0], min(owner[1], last[owner[0]])].append(run)
        return below

    def _owner(self, run: Run, by_place: Mapping[tuple[str, int], Run]) -> tuple[str, int] | None:
        seen: Run | None = run
        for _ in range(len(self.nodes) + 1):
            if seen is None or not seen.is_sub_run or (asked_by := seen.asked_by) is None:
                return None
            if is_ai_root(str(self.nodes.get(asked_by[0], {}).get("type", ""))):
                return asked_by
            seen = by_place.get(asked_by)
        return None

    def continues_on_error(self, run: Run) -> bool:
        """Whether the node is set to go on as if nothing had happened when it fails."""
        node = self.nodes.get(run.node, {})
        return str(node.get("onError", "")).startswith("continue") or node.get("continueOnFail") is True

    def retries_of(self, root: Run) -> int:
        """How often the root's node was tried again: n8n records each failed try by its failed sub-node alone."""
        node = self.nodes.get(root.node, {})
        if node.get("retryOnFail") is not True:
            return 0
        failed = sum(run.failed and not run.is_tool for run in self.below(root))
        tries = node.get("maxTries")
        most = tries if isinstance(tries, int) else _DEFAULT_TRIES
        return max(0, min(failed - root.failed, most - 1, _MOST_TRIES - 1))

    def model_of(self, run: Run) -> str:
        """The model of a run; where it is not recorded, the one that its node is set to."""
        parameters = mapping(self.nodes.get(run.node, {}).get("parameters"))
        for configured in (parameters.get("model"), parameters.get("modelId"), parameters.get("modelName")):
            value = mapping(configured).get("value") if isinstance(configured, Mapping) else configured
            if isinstance(value, str) and value:
                return run.model() or value
        return run.model()


@lru_cache(maxsize=1024)
def _parts_of(roles: tuple[str, ...]) -> tuple[bool, bool, bool]:
    """By the outputs and inputs of a run: whether it is a sub-run, a tool's and a model's."""
    return any(role.startswith("ai_") for role in roles), "ai_tool" in roles, "ai_languageModel" in roles


@lru_cache(maxsize=1024)
def provider_of(node_type: str) -> str:
    """The provider that a model's node talks to, e.g. openai; empty for any other node."""
    name = node_type.removeprefix(_LANGCHAIN)
    if name == node_type:
        return ""
    if name.startswith("lmChat"):
        return name.removeprefix("lmChat").lower()
    return name.lower() if name in ("openAi", "anthropic", "googleGemini", "ollama", "mistralAi") else ""


def _model_usage(item: Json) -> TokenUsage:
    if real := mapping(item.get("tokenUsage")):
        return _usage(real.get("promptTokens"), real.get("completionTokens"), estimate=False)
    guess = mapping(item.get("tokenUsageEstimate"))
    return _usage(guess.get("promptTokens"), guess.get("completionTokens"), estimate=True)


def _http_usage(item: Json) -> TokenUsage:
    usage = mapping(item.get("usage"))
    asked, answered = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if asked is None and answered is None:
        asked, answered = usage.get("input_tokens"), usage.get("output_tokens")
    return _usage(asked, answered, estimate=False)


def _usage(tokens_in: object, tokens_out: object, *, estimate: bool) -> TokenUsage:
    into, out = _count(tokens_in), _count(tokens_out)
    if into is None and out is None:
        return _UNKNOWN
    return TokenUsage(into, out, "estimate" if estimate else "actual")


def _count(value: object) -> int | None:
    found = number(value)
    return None if found is None else int(found)

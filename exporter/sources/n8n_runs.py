"""What one n8n execution says about its nodes: runs with absolute times, who owns whom, usage and model. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
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

    `roles` are the outputs and inputs by which it took part, e.g. main, ai_tool or ai_languageModel. A sub-run is one
    that a root asked for, in contrast to a step of the main flow after it.
    """

    node: str
    node_type: str
    run_index: int
    began: float
    ended: float
    raw: Json
    roles: tuple[str, ...]
    is_sub_run: bool

    @property
    def start(self) -> datetime:
        """When it began."""
        return datetime.fromtimestamp(self.began, UTC)

    @property
    def end(self) -> datetime:
        """When it ended."""
        return datetime.fromtimestamp(self.ended, UTC)

    @property
    def failed(self) -> bool:
        """Whether n8n itself marks the run as not having succeeded."""
        return self.raw.get("executionStatus") in ("error", "crashed", "canceled") or bool(self.raw.get("error"))

    @property
    def error(self) -> object:
        """What went wrong, in full or redacted; None when nothing is recorded."""
        return self.raw.get("error") or self.raw.get("redactedError")

    @property
    def tracing(self) -> Json:
        """The agent's own counters."""
        return mapping(mapping(self.raw.get("metadata")).get("tracing"))

    def plays(self, role: str) -> bool:
        """Whether the node served a root in this role, e.g. ai_tool or ai_languageModel."""
        return role in self.roles

    @property
    def is_wait(self) -> bool:
        """Whether the run only waited."""
        return self.node_type == _WAIT

    @property
    def asked_by(self) -> tuple[str, int] | None:
        """The node and run that this run came from."""
        source = self.raw.get("source")
        first = mapping(source[0]) if isinstance(source, list) and source else {}
        name, number = first.get("previousNode"), first.get("previousNodeRun")
        return (name, number if isinstance(number, int) else 0) if isinstance(name, str) else None

    def items(self, output: str = "main") -> Iterator[Json]:
        """The JSON of every item in every branch of an output."""
        branches = mapping(self.raw.get("data")).get(output)
        for branch in listing(branches):
            for item in listing(branch):
                yield mapping(mapping(item).get("json"))

    def usage(self) -> TokenUsage:
        """The tokens that this run itself recorded; unknown when it recorded none."""
        if metered := mapping(mapping(self.raw.get("metadata")).get("tokenUsage")):
            return _usage(metered.get("inputTokens"), metered.get("outputTokens"), estimate=False)
        if self.plays("ai_languageModel"):
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
        workflow = mapping(execution.get("workflowData"))
        nodes = workflow.get("nodes")
        named = [mapping(node) for node in listing(nodes)]
        self.nodes = {str(node["name"]): node for node in named if "name" in node}
        result = mapping(mapping(execution.get("data")).get("resultData"))
        recorded = mapping(result.get("runData"))
        found = [run for name, runs in recorded.items() for run in self._runs_of(name, runs)]
        floor = since.timestamp() if since else 0.0
        self.all = sorted((run for run in found if run.began >= floor), key=lambda run: run.began)
        # A root that another root used as a tool is a sub-node of that one.
        self.roots = [run for run in self.all if is_ai_root(run.node_type) and not run.is_sub_run]
        self._by_place = {(run.node, run.run_index): run for run in self.all}
        self._below = self._by_root()

    def _runs_of(self, name: str, runs: object) -> Iterator[Run]:
        node_type = str(self.nodes.get(name, {}).get("type", ""))
        for index, found in enumerate(listing(runs)):
            raw = mapping(found)
            began, took = number(raw.get("startTime")), number(raw.get("executionTime")) or 0.0
            if began is None:
                continue
            start = began if began < _SECONDS_UNTIL else began / 1000
            end = start + took / 1000
            if end < _END_OF_TIME:
                roles = (*mapping(raw.get("data")), *mapping(raw.get("inputOverride")))
                yield Run(name, node_type, index, start, end, raw, roles, _has_ai_role(roles))

    def below(self, root: Run) -> list[Run]:
        """The sub-node runs of a root's run, also those of sub-nodes of sub-nodes."""
        return self._below.get((root.node, root.run_index), [])

    def _by_root(self) -> dict[tuple[str, int], list[Run]]:
        """Sub-node runs by their root's run; one that names a later run than its root has belongs to the last."""
        last: dict[str, int] = {}
        for root in self.roots:
            last[root.node] = max(root.run_index, last.get(root.node, 0))
        below: dict[tuple[str, int], list[Run]] = defaultdict(list)
        for run in self.all:
            if run.is_sub_run and (owner := self._owner(run)) and owner[0] in last:
                below[owner[0], min(owner[1], last[owner[0]])].append(run)
        return below

    def _owner(self, run: Run) -> tuple[str, int] | None:
        seen: Run | None = run
        for _ in range(len(self.nodes) + 1):
            if seen is None or not seen.is_sub_run or (asked_by := seen.asked_by) is None:
                return None
            if is_ai_root(str(self.nodes.get(asked_by[0], {}).get("type", ""))):
                return asked_by
            seen = self._by_place.get(asked_by)
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
        failed = sum(run.failed and not run.plays("ai_tool") for run in self.below(root))
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
def _has_ai_role(roles: tuple[str, ...]) -> bool:
    return any(role.startswith("ai_") for role in roles)


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

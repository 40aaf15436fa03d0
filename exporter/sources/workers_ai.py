"""What Workers AI inferred, by model; also calls that went through no gateway. Cloudflare names no agent or Worker."""

from __future__ import annotations

from exporter.sources import Count, State
from exporter.sources.datasets import Ask, Dataset, Names, Reading, number, text
from exporter.sources.windows import Window

NODE = "aiInferenceAdaptiveGroups"
MAX_MODELS = 50
_SUMS = ("sum.totalInputTokens", "sum.totalOutputTokens", "sum.totalNeurons", "sum.totalInferenceTimeMs")


def inference(source: str) -> Dataset:
    """Requests by outcome, tokens, neurons and the time spent."""

    def read(memory: State, window: Window, ask: Ask) -> Reading:
        required = ("count", "dimensions.modelId", "dimensions.errorCode")
        names = Names(memory.get("models", ()), MAX_MODELS)
        counts: list[Count] = []
        for row in ask(NODE, window, required=required, optional=_SUMS):
            labels = {"source": source, "model": names.label(text(row, "dimensions", "modelId") or "unknown")}
            outcome = "error" if number(row, "dimensions", "errorCode") else "success"
            requests = row.get("count")
            counts += [
                Count("workers_ai_requests", _amount(requests), labels=labels | {"outcome": outcome}),
                Count("workers_ai_requests", 0, labels=labels | {"outcome": "error"}),
                Count("workers_ai_neurons", number(row, "sum", "totalNeurons"), labels=labels),
                Count("workers_ai_inference_seconds", number(row, "sum", "totalInferenceTimeMs") / 1e3, labels=labels),
            ]
            for kind, field in (("input", "totalInputTokens"), ("output", "totalOutputTokens")):
                counts.append(
                    Count("workers_ai_tokens", number(row, "sum", field), labels=labels | {"token_type": kind})
                )
        return Reading({"models": names.seen}, tuple(counts))

    return Dataset("workers_ai", NODE, read)


def _amount(value: object) -> float:
    return max(0.0, float(value)) if isinstance(value, int | float) else 0.0

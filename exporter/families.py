"""Every counter and source gauge that the ledger stores by name: one line declares one metric."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """A metric without its prefix and without `_total`. For AGENT_COUNTERS the label `agent` comes before `labels`."""

    name: str
    text: str
    labels: tuple[str, ...] = ()


# Counted per call, or by a source's Count with an agent.
AGENT_COUNTERS = (
    Family("calls", "Agent calls that ended.", ("source", "model", "outcome")),
    Family("ended_calls", "Agent calls that ended, whatever their model and outcome."),
    Family("call_errors", "Agent calls that failed, by reason.", ("reason",)),
    Family("tokens", "Tokens of agent calls; estimates are guesses of the source.", ("model", "token_type", "basis")),
    Family("calls_without_usage", "Agent calls whose source told no token usage."),
    Family("cost_usd", "Cost of agent calls in US dollars, as estimated by the source."),
    Family("calls_without_cost", "Agent calls whose source told no cost."),
    Family("tool_calls", "Tool calls that agents made, by tool.", ("tool",)),
    Family("tool_errors", "Tool calls that failed, by tool.", ("tool",)),
    Family("attempts", "Attempts at the provider that agent calls took, retries and fallbacks included."),
    Family("low_confidence_calls", "Agent calls that stated less confidence than the SLA asks for."),
    Family("handoffs_raised", "Hand-offs that were raised because of what executions show.", ("reason",)),
    Family("cached_calls", "Agent calls that were answered from a cache."),
    Family("node_retries", "Tries of agents' own nodes that failed and were repeated within a call."),
    Family("agent_enabled_changes", "How often agents were seen to be switched on and off.", ("to",)),
    Family("workflow_changes", "How often a live workflow was seen to be replaced by another version."),
    Family("agent_hidden_calls", "Executions that were seen to begin, and of which n8n saved nothing when they ended."),
    Family("max_iterations", "Agent calls that were stopped because the agent reached its limit of iterations."),
)

# Counted by a source's Count without an agent.
SOURCE_COUNTERS = (
    Family("source_executions", "Executions that ended and were seen, of any workflow.", ("source", "status")),
    Family("source_unreadable_rows", "Rows of a log that tell too little to be counted as a call.", ("source",)),
    Family("worker_requests", "Invocations of Workers, by status.", ("source", "worker", "status")),
    Family("worker_subrequests", "Requests that Workers made.", ("source", "worker")),
    Family("worker_cron_runs", "Runs of cron triggers, by status.", ("source", "worker", "cron", "status")),
    Family(
        "worker_cron_missed", "Runs of cron triggers that were due and did not begin.", ("source", "worker", "cron")
    ),
    Family("workers_ai_requests", "Inferences of Workers AI.", ("source", "model", "outcome")),
    Family("workers_ai_tokens", "Tokens of Workers AI.", ("source", "model", "token_type")),
    Family("workers_ai_neurons", "Neurons that Workers AI charged.", ("source", "model")),
    Family("workers_ai_inference_seconds", "Time that Workers AI spent inferring.", ("source", "model")),
    Family(
        "gateway_coverage_checks",
        "Windows in which Cloudflare's count of requests was compared with the log that was read.",
        ("source", "gateway", "verdict"),
    ),
    Family("source_dataset_lost_seconds", "Time that could not be read any more.", ("source", "dataset")),
)

# Readings: a source's Gauge, with exactly these labels. One of an agent is shown while that agent is watched.
GAUGES: tuple[Family, ...] = (
    Family("source_backend", "Which log of a gateway is read.", ("source", "gateway", "backend")),
    Family("gateway_logs_enabled", "Whether a gateway collects logs.", ("source", "gateway")),
    Family("waiting_calls", "Calls that have begun and wait, e.g. for an approval or a time.", ("agent",)),
    Family("queued_calls", "Calls that were asked for and have not begun.", ("agent",)),
    Family("agent_hidden_outcomes", "Whether executions that end so are not saved.", ("agent", "outcome")),
    Family(
        "newest_running_call_timestamp_seconds",
        "When the newest of the calls that run or wait began; 0 is none.",
        ("agent",),
    ),
    Family(
        "source_read_until_timestamp_seconds",
        "Calls that ended before this time are counted, all of them.",
        ("source",),
    ),
    Family("worker_cpu_seconds", "Processor time of a Worker's invocations.", ("source", "worker", "percentile")),
    Family("worker_wall_seconds", "Time that a Worker's invocations took.", ("source", "worker", "percentile")),
    Family("source_dataset_up", "Whether a dataset was read when it was last tried.", ("source", "dataset")),
    Family(
        "source_dataset_last_success_timestamp_seconds",
        "When a dataset was last read; 0 is never.",
        ("source", "dataset"),
    ),
    Family("source_clock_skew_seconds", "How far the source's clock is ahead of the exporter's.", ("source",)),
)

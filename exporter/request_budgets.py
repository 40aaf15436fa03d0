"""The metrics of request budgets: what Handrail may ask of a Cloudflare account, and what of it is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from exporter.sources.budget import Budget

_NAME = "handrail_source_request_budget"


class BudgetCollector:
    """A prometheus_client collector. `budgets` is asked at every scrape: the budget of each source, by its name."""

    def __init__(self, budgets: Callable[[], Mapping[str, Budget]]) -> None:
        self._budgets = budgets

    def collect(self) -> Iterator[Metric]:
        """All metrics as of now."""
        labels = ("source", "api")
        limit = GaugeMetricFamily(_NAME, "Requests to the source's account allowed in 5 minutes.", labels=labels)
        remaining = GaugeMetricFamily(f"{_NAME}_remaining", "Requests of those that are left now.", labels=labels)
        for source, budget in self._budgets().items():
            for allowance in (budget.rest, budget.graphql):
                limit.add_metric((source, allowance.api), allowance.limit)
                remaining.add_metric((source, allowance.api), allowance.remaining)
        yield from (limit, remaining)

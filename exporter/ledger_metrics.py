"""What the exporter says of its ledger. Most of it also when the ledger cannot be read."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from exporter.ledger import Ledger
from exporter.snapshot import Snapshot


def about_ledger(ledger: Ledger, snapshot: Snapshot | None) -> Iterator[Metric]:
    """`snapshot` is None when the ledger could not be read for this scrape."""
    up = snapshot is not None and ledger.health.writable
    text = "Whether the ledger could be read for this scrape and took what was last written."
    yield GaugeMetricFamily("handrail_ledger_up", text, up)
    errors = CounterMetricFamily("handrail_ledger_errors", "Failed uses of the ledger, by reason.", labels=("reason",))
    for reason, count in ledger.health.errors.items():
        errors.add_metric((reason,), count)
    yield errors
    if snapshot is None:
        return
    stored = ledger.stored_calls
    oldest = "When the oldest single call that the ledger keeps ended; 0 is none."
    yield GaugeMetricFamily("handrail_ledger_calls", "Single calls that the ledger keeps.", stored)
    waiting = "Hand-offs that the receiver has not taken yet."
    yield GaugeMetricFamily("handrail_handoffs_pending", waiting, snapshot.pending_handoffs)
    yield GaugeMetricFamily("handrail_ledger_size_bytes", "Size of the ledger.", snapshot.storage.size_bytes)
    yield GaugeMetricFamily("handrail_ledger_oldest_call_timestamp_seconds", oldest, snapshot.storage.oldest_call)

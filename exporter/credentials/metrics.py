"""The metrics of credentials; of a secret itself they hold nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from exporter.credentials.watch import Standing
from handrail.settings import Credentials

_PREFIX = "handrail_credential_"


class CredentialCollector:
    """A prometheus_client collector; both arguments are asked at every scrape."""

    def __init__(self, standings: Callable[[], Sequence[Standing]], policy: Callable[[], Credentials]) -> None:
        self._standings = standings
        self._policy = policy

    def collect(self) -> Iterator[Metric]:
        """All metrics as of now. A date that nobody tells has no series: 0 would be long ago."""
        expiry = _gauge("expiry_timestamp_seconds", "When the credential expires; none if never or unknown.")
        issued = _gauge("issued_timestamp_seconds", "When the credential was issued, and who says so.", "basis")
        valid = _gauge("valid", "Whether its source took the credential when it last said anything about it.")
        missing = _gauge("missing_scopes", "Scopes that Handrail needs and the credential lacks.")
        for standing in self._standings():
            facts, name = standing.facts, standing.name
            if facts.expires_at:
                expiry.add_metric((name,), facts.expires_at.timestamp())
            if facts.issued_at:
                issued.add_metric((name, facts.basis), facts.issued_at.timestamp())
            if standing.valid is not None:
                valid.add_metric((name,), standing.valid)
            if facts.missing_scopes is not None:
                missing.add_metric((name,), len(facts.missing_scopes))
        policy = self._policy()
        yield from (expiry, issued, valid, missing)
        yield GaugeMetricFamily(
            f"{_PREFIX}max_age_seconds", "Age from which a credential is old.", policy.max_age.total_seconds()
        )
        yield GaugeMetricFamily(
            f"{_PREFIX}warn_before_seconds", "How long before the end to warn.", policy.warn_before.total_seconds()
        )


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(_PREFIX + name, text, labels=("credential", *labels))

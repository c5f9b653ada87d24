"""The metrics of erasures."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ErasureMetrics:
    """aggregator."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.open_seconds = Gauge(
            "postmeter_erasures_open_seconds",
            "Seconds that the oldest erasure has waited which is not done; 0: all are.",
            registry=to,
        )
        self.rows = Counter(
            "postmeter_erased_rows_total",
            "Rows that erasures removed, or took what identifies from.",
            ["table"],
            registry=to,
        )

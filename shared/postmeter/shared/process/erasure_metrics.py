"""The metrics of what is removed: erasures, and what workspaces keep no longer."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from postmeter.shared.process.metrics import counter


class ErasureMetrics:
    """aggregator."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.open_seconds = Gauge(
            "postmeter_erasures_open_seconds",
            "Seconds that the oldest erasure has waited which is not done; 0: all are.",
            registry=to,
        )
        self.retained = counter(
            to, "postmeter_retention_rows_total",
            "Rows that workspaces keep no longer, by kind (history, messages, contacts, consent, audit).",
            kind=("history", "messages", "contacts", "consent", "audit"),
        )  # fmt: skip
        self.rows = Counter(
            "postmeter_erased_rows_total",
            "Rows that erasures removed, or took what identifies from.",
            ["table"],
            registry=to,
        )

"""Metrics of kept answers; see metrics.py."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from postmeter.shared.process.metrics import counter

RESULTS = ("hit", "miss", "joined", "unkept")


class AnswerMetrics:
    """query-service."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.answers = counter(
            to, "postmeter_query_answers_total",
            "Questions, by result (hit: answered by what is kept; miss: computed; joined: the same was just being"
            " computed; unkept: another answer at every moment, or no version in time).",
            result=RESULTS,
        )  # fmt: skip
        self.evicted = Counter(
            "postmeter_query_answers_evicted_total", "Kept answers that went for want of room.", registry=to
        )
        self.bytes = Gauge("postmeter_query_answers_bytes", "Memory of kept answers.", registry=to)

"""Metrics of kept answers, and of kept days; see metrics.py."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from postmeter.shared.process.metrics import counter

RESULTS = ("hit", "miss", "joined", "unkept")
DAY_RESULTS = ("hit", "miss", "expired", "changed", "unkept")


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


class KeptDaysMetrics:
    """query-service: what days count that do not change (ADR 0067)."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.questions = counter(
            to, "postmeter_query_kept_days_total",
            "Questions that kept days may help, by result (hit: only the days since were read; miss: nothing was kept,"
            " what is to be was read; expired: it was kept for an hour, and read anew; changed: a kept day is not as it"
            " was, so the whole range was read; unkept: too few days are settled, or they count too much to be kept).",
            result=DAY_RESULTS,
        )  # fmt: skip
        self.kept = Gauge(
            "postmeter_query_kept_days_questions", "Questions of which what their days count is kept.", registry=to
        )
        self.evicted = Counter(
            "postmeter_query_kept_days_evicted_total", "Questions forgotten for want of room.", registry=to
        )
        self.bytes = Gauge("postmeter_query_kept_days_bytes", "Memory of kept days.", registry=to)

"""query-service's metrics (shared/process/metrics.py says how they are declared)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from postmeter.shared.process.metrics import answers, counter


class QueryMetrics:
    """Of all answers."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.requests = answers(to, "query")


class LiveMetrics:
    """Of live streams."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.readers = Gauge("postmeter_live_readers", "Readers of GET /v1/live.", registry=to)
        self.dropped = Counter(
            "postmeter_live_readers_dropped_total", "Readers of GET /v1/live who took too little, and were cut off.",
            registry=to,
        )  # fmt: skip


class ExportMetrics:
    """Of exports."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.exports = counter(
            to, "postmeter_exports_total",
            "Attempts at exports, by result (completed; refused: no data, or over its bounds; failed, retried, lost:"
            " by our fault; given_back).",
            result=("completed", "refused", "failed", "retried", "lost", "given_back"),
        )  # fmt: skip
        self.seconds = Histogram(
            "postmeter_export_seconds", "Time of an attempt that completed an export.",
            buckets=(0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0), registry=to,
        )  # fmt: skip
        self.bytes = Counter("postmeter_export_bytes_total", "Bytes of completed exports.", registry=to)
        self.open = Gauge("postmeter_exports_open", "Exports ordered and not yet ended.", registry=to)


RESULTS = ("hit", "miss", "joined", "unkept")
DAY_RESULTS = ("hit", "miss", "expired", "changed", "unkept")


class AnswerMetrics:
    """Of answers that are kept (ADR 0046)."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.answers = counter(
            to, "postmeter_query_answers_total",
            "Questions, by result (hit: answered by what is kept; miss: computed; joined: the same was just being"
            " computed; unkept: another answer at every moment, or no version in time).",
            result=RESULTS,
        )  # fmt: skip
        self.evicted = Counter(
            "postmeter_query_answers_evicted_total", "Kept answers removed for lack of room.", registry=to
        )
        self.bytes = Gauge("postmeter_query_answers_bytes", "Memory of kept answers.", registry=to)


class KeptDaysMetrics:
    """Of what is kept of days that no longer change (ADR 0067)."""

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
            "postmeter_query_kept_days_evicted_total", "Questions forgotten for lack of room.", registry=to
        )
        self.bytes = Gauge("postmeter_query_kept_days_bytes", "Memory of kept days.", registry=to)

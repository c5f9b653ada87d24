"""The aggregator's metrics (shared/process/metrics.py says how they are declared)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from postmeter.shared.process.metrics import LATENCY, counter

READ = ("read", "failed")


class AggregatorMetrics:
    """Of counting: what was read, folded, put aside and written, and how far behind the numbers are."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.records = counter(
            to, "postmeter_records_total",
            "Records committed, by kind (hit, event, registration, campaign, consent, purchase, custom).",
            kind=("hit", "event", "registration", "campaign", "consent", "purchase", "custom"),
        )  # fmt: skip
        self.duplicates = counter(
            to, "postmeter_duplicates_total",
            "Repetitions not counted, by kind (batch, event, purchase).",
            kind=("batch", "event", "purchase"),
        )  # fmt: skip
        self.dead_letters = Counter(
            "postmeter_dead_letters_total", "Records put aside as unreadable or uncountable.", registry=to
        )
        self.dead_letters_dropped = Counter(
            "postmeter_dead_letters_dropped_total",
            "Records that were not put aside because their workspace has too many there already.",
            registry=to,
        )
        self.waiting = counter(
            to, "postmeter_waiting_total",
            "Events without a message that is known, by step (parked, released).",
            step=("parked", "released"),
        )  # fmt: skip
        changed = "Clicks of which the company they keep changed the verdict, by reason (none: acquitted)."
        self.judged_clicks = Counter("postmeter_judged_clicks_total", changed, ["reason"], registry=to)
        withheld = "Opens and clicks of which nothing may be kept, by level (privacy.md)."
        self.withheld = Counter("postmeter_withheld_total", withheld, ["level"], registry=to)
        self.networks_refreshes = counter(
            to, "postmeter_networks_refreshes_total",
            "Readings of the list of machines' networks, by result (read, failed).",
            result=READ,
        )  # fmt: skip
        self.agents_refreshes = counter(
            to, "postmeter_agents_refreshes_total",
            "Readings of the list of machines' user agents, by result (read, failed).",
            result=READ,
        )  # fmt: skip
        self.unregistered = counter(
            to, "postmeter_unregistered_total",
            "Messages that nobody had registered, by step: made from what a webhook told, registered afterwards.",
            step=("made", "registered"),
        )  # fmt: skip
        self.flush_seconds = Histogram(
            "postmeter_flush_seconds", "Time of one flush, from read to commit.", buckets=LATENCY, registry=to
        )
        self.lag_seconds = Gauge(
            "postmeter_lag_seconds",
            "How far the numbers are behind, per shard held; grows while nothing commits.",
            ["shard"],
            registry=to,
        )
        self.stalled_seconds = Gauge(
            "postmeter_shard_stalled_seconds",
            "Seconds since a shard held here last got anywhere, per shard; near 0 also while nothing comes. From 30 on"
            " /readyz says so.",
            ["shard"],
            registry=to,
        )
        self.shards = Gauge("postmeter_shards", "Shards that there are, for all aggregators together.", registry=to)
        self.leases = Gauge("postmeter_leases", "Shards that this aggregator holds.", registry=to)
        self.takeovers = Counter("postmeter_takeovers_total", "Leases taken over from another owner.", registry=to)
        self.retries = counter(
            to, "postmeter_flush_retries_total",
            "Flushes tried again, by cause (serialization, connection, error).",
            cause=("serialization", "connection", "error"),
        )  # fmt: skip
        self.stream_regressions = Counter(
            "postmeter_stream_regressions_total",
            "Streams found recreated or set back; read again from 0.",
            registry=to,
        )
        self.series_overflow = Counter(
            "postmeter_series_overflow_total",
            "Messages folded into the overflow series of a workspace.",
            registry=to,
        )
        self.link_overflow = Counter(
            "postmeter_link_overflow_total",
            "URLs beyond a workspace's limit of links: their clicks count for the link (other).",
            registry=to,
        )
        self.user_agent_overflow = Counter(
            "postmeter_user_agent_overflow_total",
            "User agents beyond a workspace's limit: they stand in the history as texts.",
            registry=to,
        )
        self.purchases = counter(
            to, "postmeter_purchases_total",
            "Purchases attributed to a campaign or to none (attributed, unattributed); unwaited: without a shard that"
            " stood still for too long, so that a click may have been missed.",
            outcome=("attributed", "unattributed", "unwaited"),
        )  # fmt: skip
        self.purchases_open_seconds = Gauge(
            "postmeter_purchases_open_seconds", "Seconds that the oldest purchase waits for its attribution.",
            registry=to,
        )  # fmt: skip
        self.dnsbl_lookups = counter(
            to, "postmeter_dnsbl_lookups_total",
            "Look-ups of a sending IP in a DNSBL zone, by result (listed, not_listed, error, failed, skipped).",
            result=("listed", "not_listed", "error", "failed", "skipped"),
        )  # fmt: skip
        self.dnsbl_zone_up = Gauge(
            "postmeter_dnsbl_zone_up",
            "Whether a DNSBL zone was of use in this aggregator's last round, by zone and IP version (4, 6).",
            ["zone", "ip_version"],
            registry=to,
        )
        self.dnsbl_listed = Gauge(
            "postmeter_dnsbl_listed_ips", "Sending IPs of all workspaces that a zone lists.", registry=to
        )
        self.dnsbl_checked_at = Gauge(
            "postmeter_dnsbl_checked_timestamp_seconds", "Unix time of the last look-up that was answered.", registry=to
        )
        self.dnsbl_round_seconds = Gauge(
            "postmeter_dnsbl_round_seconds", "Time that this aggregator's last round of look-ups took.", registry=to
        )


class ErasureMetrics:
    """Of what is removed: erasures, and rows that workspaces keep no longer."""

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

"""Every metric of Postmeter, declared once: its name, type, labels and meaning.

Each service makes its own class; all are exported on its ops port. Label values are closed sets, given
beside each metric. Times are seconds.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def registry() -> CollectorRegistry:
    """A registry with the process's own figures (CPU, memory, open files)."""
    fresh = CollectorRegistry()
    ProcessCollector(registry=fresh)
    return fresh


class TrackingMetrics:
    """tracking-service."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.hits = Counter(
            "postmeter_hits_total",
            "Answered and recorded hits, by kind (open, click, head: a HEAD of a click's URL).",
            ["kind"],
            registry=to,
        )
        self.dropped = Counter(
            "postmeter_hits_dropped_total",
            "Hits answered but not counted, by reason (malformed, version, purpose, unknown_key, signature,"
            " destination, url, head: of a pixel, spool_full, spool_failed).",
            ["reason"],
            registry=to,
        )
        self.refused = Counter(
            "postmeter_http_refused_total",
            "Requests refused before routing, by status.",
            ["status"],
            registry=to,
        )
        self.connections_refused = Counter(
            "postmeter_connections_refused_total",
            "Connections turned away, by the bound that they were over (all: POSTMETER_MAX_CONNECTIONS; client:"
            " POSTMETER_CLIENT_CONNECTIONS).",
            ["bound"], registry=to,
        )  # fmt: skip
        self.connections = Gauge("postmeter_connections", "Open client connections.", registry=to)
        self.batches = Counter(
            "postmeter_batches_total",
            "Batches acknowledged, by place (stream, spool).",
            ["place"],
            registry=to,
        )
        self.append_seconds = Histogram(
            "postmeter_append_seconds", "Time of one append to a stream.", buckets=LATENCY, registry=to
        )
        self.append_failures = Counter(
            "postmeter_append_failures_total", "Appends that Redis did not acknowledge in time.", registry=to
        )
        self.spool_bytes = Gauge("postmeter_spool_bytes", "Bytes in the spool that wait for Redis.", registry=to)
        self.spool_reserve = Gauge(
            "postmeter_spool_reserve_bytes", "Bytes set aside on disk for hits on a full disk, unused.", registry=to
        )
        self.spool_disk_free = Gauge(
            "postmeter_spool_disk_free_bytes", "Bytes that the disk of the spool still takes.", registry=to
        )
        self.spool_age = Gauge(
            "postmeter_spool_age_seconds",
            "Seconds since the oldest waiting segment was written; 0 for none. Days are dangerous: ADR 0003.",
            registry=to,
        )
        self.spool_drained = Counter(
            "postmeter_spool_drained_total", "Batches moved from the spool to a stream.", registry=to
        )
        self.messages = Counter("postmeter_messages_total", "Messages registered.", registry=to)
        self.events = Counter(
            "postmeter_events_total",
            "API events, by outcome (accepted, duplicate, rejected).",
            ["outcome"],
            registry=to,
        )
        self.contact_events = Counter(
            "postmeter_contact_events_total",
            "What the track API took, by kind (custom, purchase) and outcome: accepted; conflict (an order with another"
            " amount); unanswered (stored, but its campaign was not known in time); refused (too many wait).",
            ["kind", "outcome"],
            registry=to,
        )
        self.purchase_seconds = Histogram(
            "postmeter_purchase_seconds", "Time from a purchase to its campaign.", buckets=LATENCY, registry=to
        )
        self.webhooks = Counter(
            "postmeter_webhooks_total",
            "What providers' webhooks brought, by provider and outcome: event, unreadable (an item put aside),"
            " refused (a delivery whose signature does not fit).",
            ["provider", "outcome"],
            registry=to,
        )
        self.mailbox_lookups = Counter(
            "postmeter_mailbox_lookups_total",
            "Look-ups of recipients' domains by their MX records, by result: named, unnamed (nobody that has a name"
            " here), failed (no answer), skipped (too many waited already).",
            ["result"],
            registry=to,
        )
        self.mailbox_late = Counter(
            "postmeter_mailbox_lookups_late_total",
            "Look-ups that a request did not wait for to the end: its messages have no mailbox provider.",
            registry=to,
        )


class AggregatorMetrics:
    """aggregator."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.records = Counter(
            "postmeter_records_total",
            "Records committed, by kind (hit, event, registration, campaign, purchase, custom).",
            ["kind"],
            registry=to,
        )
        self.duplicates = Counter(
            "postmeter_duplicates_total",
            "Repetitions not counted, by kind (batch, event, purchase).",
            ["kind"],
            registry=to,
        )
        self.dead_letters = Counter(
            "postmeter_dead_letters_total", "Records put aside as unreadable or uncountable.", registry=to
        )
        self.dead_letters_dropped = Counter(
            "postmeter_dead_letters_dropped_total",
            "Records that were not put aside because their workspace has too many there already.",
            registry=to,
        )
        self.waiting = Counter(
            "postmeter_waiting_total", "Events without a message that is known, by step (parked, released).",
            ["step"], registry=to,
        )  # fmt: skip
        self.judged_clicks = Counter(
            "postmeter_judged_clicks_total",
            "Clicks of which the company they keep changed the verdict, by reason (as of verdicts; none: acquitted).",
            ["reason"],
            registry=to,
        )
        self.networks_refreshes = Counter(
            "postmeter_networks_refreshes_total",
            "Readings of the list of machines' networks, by result (read, failed).",
            ["result"],
            registry=to,
        )
        self.agents_refreshes = Counter(
            "postmeter_agents_refreshes_total",
            "Readings of the list of machines' user agents, by result (read, failed).",
            ["result"],
            registry=to,
        )
        self.unregistered = Counter(
            "postmeter_unregistered_total",
            "Messages that nobody had registered, by step: made from what a webhook told, registered afterwards.",
            ["step"],
            registry=to,
        )
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
        self.leases = Gauge("postmeter_leases", "Shards that this aggregator holds.", registry=to)
        self.takeovers = Counter("postmeter_takeovers_total", "Leases taken over from another owner.", registry=to)
        self.retries = Counter(
            "postmeter_flush_retries_total",
            "Flushes tried again, by cause (serialization, connection, error).",
            ["cause"],
            registry=to,
        )
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
        self.purchases = Counter(
            "postmeter_purchases_total",
            "Purchases attributed to a campaign or to none (attributed, unattributed); unwaited: without a shard that"
            " stood still for too long, so that a click may have been missed.",
            ["outcome"],
            registry=to,
        )
        self.purchases_open_seconds = Gauge(
            "postmeter_purchases_open_seconds", "Seconds that the oldest purchase waits for its attribution.",
            registry=to,
        )  # fmt: skip
        self.dnsbl_lookups = Counter(
            "postmeter_dnsbl_lookups_total",
            "Look-ups of a sending IP in a DNSBL zone, by result (listed, not_listed, error, failed, skipped).",
            ["result"],
            registry=to,
        )
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


class QueryMetrics:
    """query-service."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.requests = Histogram(
            "postmeter_query_seconds", "Time of an answer, by endpoint and status.", ["endpoint", "status"],
            buckets=LATENCY, registry=to,
        )  # fmt: skip


class ExportMetrics:
    """query-service's exports."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.exports = Counter(
            "postmeter_exports_total",
            "Attempts at exports, by result (completed, failed, retried, lost, given_back).",
            ["result"], registry=to,
        )  # fmt: skip
        self.seconds = Histogram(
            "postmeter_export_seconds", "Time of an attempt that completed an export.",
            buckets=(0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0), registry=to,
        )  # fmt: skip
        self.bytes = Counter("postmeter_export_bytes_total", "Bytes of completed exports.", registry=to)
        self.open = Gauge("postmeter_exports_open", "Exports ordered and not yet ended.", registry=to)


class GatewayMetrics:
    """gateway."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.connections_refused = Counter(
            "postmeter_gateway_connections_refused_total",
            "Connections turned away, by the bound that they were over (all: POSTMETER_MAX_CONNECTIONS; client:"
            " POSTMETER_CLIENT_CONNECTIONS).",
            ["bound"], registry=to,
        )  # fmt: skip
        self.requests = Histogram(
            "postmeter_gateway_seconds", "Time of an answer, by endpoint and status.", ["endpoint", "status"],
            buckets=LATENCY, registry=to,
        )  # fmt: skip
        self.dropped = Counter(
            "postmeter_gateway_hits_dropped_total",
            "Hits served by the gateway itself and not counted, by kind (open, click), while tracking-service"
            " did not answer.",
            ["kind"], registry=to,
        )  # fmt: skip
        self.upstream_failures = Counter(
            "postmeter_upstream_failures_total", "Requests a service did not answer, by service and cause.",
            ["service", "cause"], registry=to,
        )  # fmt: skip
        self.key_refusals = Counter(
            "postmeter_key_refusals_total", "Requests refused, by reason (missing, unknown, forbidden).",
            ["reason"], registry=to,
        )  # fmt: skip
        self.limited = Counter(
            "postmeter_rate_limited_total", "Requests refused over their workspace's limit, by class (read, write,"
            " campaign, overview, deliverability, export).",
            ["limit"], registry=to,
        )  # fmt: skip
        self.unlimited = Counter(
            "postmeter_rate_limit_skipped_total", "Requests that passed uncounted because Redis did not answer in time,"
            " by class.",
            ["limit"], registry=to,
        )  # fmt: skip

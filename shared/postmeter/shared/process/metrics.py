"""Metrics of Postmeter, each declared once, here or in a module `..._metrics` beside: its name, type, labels, meaning.

Each service makes its own class; all are exported on its ops port. Label values are closed sets, given
beside each metric. Times are seconds.
"""

from __future__ import annotations

import itertools

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

SERVICES = ("tracking", "query")
LIMITS = ("read", "write", "campaign", "overview", "deliverability", "export")
READ = ("read", "failed")
BOUNDS = ("all", "client")
PLACES = ("stream", "spool")
DROPS = ("malformed", "version", "purpose", "unknown_key", "signature", "destination", "url", "head", "spool_full",
         "spool_failed")  # fmt: skip
LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def registry() -> CollectorRegistry:
    """A registry with the process's own figures (CPU, memory, open files)."""
    fresh = CollectorRegistry()
    ProcessCollector(registry=fresh)
    return fresh


def counter(to: CollectorRegistry, name: str, meaning: str, **labels: tuple[str, ...]) -> Counter:
    """A counter, and all values that its labels may have. Each begins at 0: Prometheus' increase() takes no notice of
    the first value of a series, so the first loss would go unseen if its series began with it.
    """
    made = Counter(name, meaning, tuple(labels), registry=to)
    for values in itertools.product(*labels.values()):
        made.labels(*values)
    return made


def answers(to: CollectorRegistry, service: str, to_what: str = "") -> Histogram:
    """How long a service's answers take."""
    name, meaning = f"postmeter_{service}_seconds", f"Time of an answer{to_what}, by endpoint and status."
    return Histogram(name, meaning, ["endpoint", "status"], buckets=LATENCY, registry=to)


class OpsMetrics:
    """Every service's ops port."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.ready = Gauge(
            "postmeter_ready",
            "Whether a check of /readyz passes, by its name (postgres, schema, redis, redis_or_spool, shards, tracking,"
            " query): 1 or 0, looked at every few seconds.",
            ["check"],
            registry=to,
        )
        self.warning = Gauge(
            "postmeter_warning",
            "Whether /readyz warns, by name (disk, redis, replicas, clock, token_keys, source_key, trusted_hops): 1"
            " or 0, looked at every few seconds.",
            ["warning"],
            registry=to,
        )


class HopsMetrics:
    """The public ports of tracking-service and the gateway."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.doubts = counter(
            to, "postmeter_forwarded_doubts_total",
            "Requests that do not look as if there were POSTMETER_TRUSTED_HOPS proxies, by kind (untrusted: it is 0,"
            " and a private address sends X-Forwarded-For; few: fewer entries than that; missing: none, from a public"
            " address).",
            kind=("untrusted", "few", "missing"),
        )  # fmt: skip


class TrackingMetrics:
    """tracking-service."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.requests = answers(to, "tracking", " to anything but a hit")
        self.hits = counter(
            to, "postmeter_hits_total",
            "Answered and recorded hits, by kind (open, click, head: a HEAD of a click's URL).",
            kind=("open", "click", "head"),
        )  # fmt: skip
        self.dropped = counter(
            to, "postmeter_hits_dropped_total",
            "Hits answered but not counted, by reason (malformed, version, purpose, unknown_key, signature,"
            " destination, url, head: of a pixel, spool_full, spool_failed).",
            reason=DROPS,
        )  # fmt: skip
        self.answered = counter(
            to, "postmeter_hits_answered_total",
            "Genuine hits by what their answer said: recorded, or dropped, which carries the header Postmeter-Dropped.",
            outcome=("recorded", "dropped"),
        )  # fmt: skip
        self.stored = counter(
            to, "postmeter_hits_stored_total",
            "Hits that Redis or the disk has acknowledged, counted there and not where they are answered, by place"
            " (stream, spool).",
            place=PLACES,
        )  # fmt: skip
        self.refused = Counter(
            "postmeter_http_refused_total", "Requests refused before routing, by status.", ["status"], registry=to
        )
        self.connections_refused = counter(
            to, "postmeter_connections_refused_total",
            "Connections turned away, by the bound that they were over (all: POSTMETER_MAX_CONNECTIONS; client:"
            " POSTMETER_CLIENT_CONNECTIONS).",
            bound=BOUNDS,
        )  # fmt: skip
        self.connections = Gauge("postmeter_connections", "Open client connections.", registry=to)
        self.batches = counter(
            to, "postmeter_batches_total",
            "Batches acknowledged, by place (stream, spool).",
            place=PLACES,
        )  # fmt: skip
        self.append_seconds = Histogram(
            "postmeter_append_seconds", "Time of one append to a stream.", buckets=LATENCY, registry=to
        )
        self.append_failures = Counter(
            "postmeter_append_failures_total", "Appends that Redis did not acknowledge in time.", registry=to
        )
        self.unreplicated = Counter(
            "postmeter_unreplicated_batches_total",
            "Batches spooled because fewer than POSTMETER_WAIT_REPLICAS replicas had them in time.",
            registry=to,
        )
        self.spool_bytes = Gauge("postmeter_spool_bytes", "Bytes in the spool that wait for Redis.", registry=to)
        self.spool_limit = Gauge(
            "postmeter_spool_limit_bytes", "POSTMETER_SPOOL_BYTES: what the spool may hold.", registry=to
        )
        self.spool_reserve = Gauge(
            "postmeter_spool_reserve_bytes", "Bytes set aside on disk for hits on a full disk, unused.", registry=to
        )
        self.spool_disk_free = Gauge(
            "postmeter_spool_disk_free_bytes", "Bytes that the disk of the spool still takes.", registry=to
        )
        self.spool_disk_low = Gauge(
            "postmeter_spool_disk_low_bytes", "POSTMETER_DISK_LOW: fewer free bytes than this are a warning.",
            registry=to,
        )  # fmt: skip
        self.spool_age = Gauge(
            "postmeter_spool_age_seconds",
            "Seconds since the oldest waiting segment was written; 0 for none. Days are dangerous: ADR 0003.",
            registry=to,
        )
        self.spool_drained = Counter(
            "postmeter_spool_drained_total", "Batches moved from the spool to a stream.", registry=to
        )
        self.messages = Counter("postmeter_messages_total", "Messages registered.", registry=to)
        self.events = counter(
            to, "postmeter_events_total",
            "API events, by outcome (accepted, duplicate, rejected).",
            outcome=("accepted", "duplicate", "rejected"),
        )  # fmt: skip
        self.contact_events = counter(
            to, "postmeter_contact_events_total",
            "What the track API took, by kind (custom, purchase) and outcome: accepted; conflict (an order with another"
            " amount); unanswered (stored, but its campaign was not known in time); refused (too many wait).",
            kind=("custom", "purchase"), outcome=("accepted", "conflict", "unanswered", "refused"),
        )  # fmt: skip
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
        self.webhook_deliveries = Counter(
            "postmeter_webhook_deliveries_total",
            "Deliveries of providers, by provider, source and outcome: taken, refused (signature, time or password do"
            " not fit). Of a thousand sources since the process began; those beyond are the source other.",
            ["provider", "source", "outcome"],
            registry=to,
        )
        self.mailbox_lookups = counter(
            to, "postmeter_mailbox_lookups_total",
            "Look-ups of recipients' domains by their MX records, by result: named, unnamed (nobody that has a name"
            " here), failed (no answer), skipped (too many waited already).",
            result=("named", "unnamed", "failed", "skipped"),
        )  # fmt: skip
        self.mailbox_late = Counter(
            "postmeter_mailbox_lookups_late_total",
            "Look-ups that a request did not wait for to the end: its messages have no mailbox provider.",
            registry=to,
        )


class AggregatorMetrics:
    """aggregator."""

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


class QueryMetrics:
    """query-service."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.requests = answers(to, "query")


class LiveMetrics:
    """query-service's live streams."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.readers = Gauge("postmeter_live_readers", "Readers of GET /v1/live.", registry=to)
        self.dropped = Counter(
            "postmeter_live_readers_dropped_total", "Readers of GET /v1/live who took too little, and were cut off.",
            registry=to,
        )  # fmt: skip


class ExportMetrics:
    """query-service's exports."""

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


class GatewayMetrics:
    """gateway."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.connections_refused = counter(
            to, "postmeter_gateway_connections_refused_total",
            "Connections turned away, by the bound that they were over (all: POSTMETER_MAX_CONNECTIONS; client:"
            " POSTMETER_CLIENT_CONNECTIONS).",
            bound=BOUNDS,
        )  # fmt: skip
        self.requests = answers(to, "gateway")
        self.dropped = counter(
            to, "postmeter_gateway_hits_dropped_total",
            "Hits served by the gateway itself and not counted, by kind (open, click), while tracking-service"
            " did not answer.",
            kind=("open", "click"),
        )  # fmt: skip
        self.hits = counter(
            to, "postmeter_gateway_hits_answered_total",
            "Requests for tracking URLs, by what the answer was: passed_on (tracking-service's), dropped (served here,"
            " not counted), refused (a link that never works), unavailable (503: without POSTMETER_TOKEN_KEYS a click"
            " cannot be served here).",
            outcome=("passed_on", "dropped", "refused", "unavailable"),
        )  # fmt: skip
        self.upstream_failures = counter(
            to, "postmeter_upstream_failures_total",
            "Requests a service did not answer, by service and cause.",
            service=SERVICES, cause=("not_sent", "no_answer", "fault", "connect", "timeout", "busy"),
        )  # fmt: skip
        self.key_refusals = counter(
            to, "postmeter_key_refusals_total",
            "Requests refused, by reason (missing or unknown: the key; session: it has ended; origin: a write that"
            " another site's page sent; forbidden).",
            reason=("missing", "unknown", "session", "origin", "forbidden"),
        )  # fmt: skip
        self.limited = counter(
            to, "postmeter_rate_limited_total",
            "Requests refused over their workspace's limit, by class (read, write,"
            " campaign, overview, deliverability, export).",
            limit=LIMITS,
        )  # fmt: skip
        self.unlimited = counter(
            to, "postmeter_rate_limit_skipped_total",
            "Requests that passed uncounted because Redis did not answer in time,"
            " by class.",
            limit=LIMITS,
        )  # fmt: skip

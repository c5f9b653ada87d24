"""tracking-service's metrics (shared/process/metrics.py says how they are declared)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from postmeter.shared.process.metrics import BOUNDS, LATENCY, answers, counter

DROPS = ("malformed", "version", "purpose", "unknown_key", "signature", "destination", "url", "head", "spool_full",
         "spool_failed")  # fmt: skip
PLACES = ("stream", "spool")


class TrackingMetrics:
    """Of hits, of what makes them durable, and of everything else that the service takes."""

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

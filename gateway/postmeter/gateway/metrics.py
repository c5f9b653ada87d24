"""The gateway's metrics (shared/process/metrics.py says how they are declared)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from postmeter.shared.apis.endpoint import Limit, Service
from postmeter.shared.process.metrics import BOUNDS, answers, counter

SERVICES = tuple(service.value for service in Service if service is not Service.GATEWAY)
LIMITS = tuple(limit.value for limit in Limit)


class GatewayMetrics:
    """Of requests: connections, hits, keys, limits, and the services behind."""

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
            service=SERVICES, cause=("not_sent", "no_answer", "fault", "connect", "timeout", "busy", "refused"),
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


WAYS = ("password", "link", "api_key", "oidc")


class PeopleMetrics:
    """Of people who sign in."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.sign_ins = counter(
            to, "postmeter_sign_ins_total",
            "Tries to sign in, by way (password, link, api_key, oidc) and outcome: signed_in; refused (wrong, used,"
            " closed); limited (too many tries of the account or the address); unavailable (too many at once, or a"
            " store or provider that does not answer).",
            way=WAYS, outcome=("signed_in", "refused", "limited", "unavailable"),
        )  # fmt: skip

"""What the metrics of all services have in common; each service declares its own in its module `metrics`.

A metric is declared once, as an attribute of a class: its name, type, labels and meaning. The service makes these
classes on one registry, which its ops port exports. Values of labels are closed sets wherever they can be known
beforehand. Times are seconds.
"""

from __future__ import annotations

import itertools

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from postmeter.shared.process.advice import WARNINGS

BOUNDS = ("all", "client")
LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def new_registry() -> CollectorRegistry:
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
    """How long a service's answers take: `postmeter_SERVICE_seconds`. to_what: what kind of request, where not any."""
    name, meaning = f"postmeter_{service}_seconds", f"Time of an answer{to_what}, by endpoint and status."
    return Histogram(name, meaning, ["endpoint", "status"], buckets=LATENCY, registry=to)


class OpsMetrics:
    """Of every service's ops port."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.connections_refused = counter(
            to, "postmeter_ops_connections_refused_total",
            "Connections to the ops port turned away, by the bound that they were over: all, or one client's.",
            bound=BOUNDS,
        )  # fmt: skip
        self.ready = Gauge(
            "postmeter_ready",
            "Whether a check of /readyz passes, by its name (postgres, schema, redis, redis_or_spool, shards, tracking,"
            " query): 1 or 0, looked at every few seconds.",
            ["check"],
            registry=to,
        )
        self.warning = Gauge(
            "postmeter_warning",
            f"Whether /readyz warns, by name ({', '.join(WARNINGS)}): 1 or 0, looked at every few seconds.",
            ["warning"],
            registry=to,
        )


class HopsMetrics:
    """Of the public ports of tracking-service and the gateway."""

    def __init__(self, to: CollectorRegistry) -> None:
        self.doubts = counter(
            to, "postmeter_forwarded_doubts_total",
            "Requests that do not look as if there were POSTMETER_TRUSTED_HOPS proxies, by kind (untrusted: it is 0,"
            " and a private address sends X-Forwarded-For; few: fewer entries than that; missing: none, from a public"
            " address).",
            kind=("untrusted", "few", "missing"),
        )  # fmt: skip

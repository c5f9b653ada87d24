"""The metrics that the services export, as the tests of what names them need it."""

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from postmeter.aggregator import metrics as aggregator
from postmeter.gateway import metrics as gateway
from postmeter.query import metrics as query
from postmeter.shared.privacy import audit
from postmeter.shared.process import metrics
from postmeter.tracking import metrics as tracking

CLASSES = (
    metrics.OpsMetrics,
    metrics.HopsMetrics,
    tracking.TrackingMetrics,
    aggregator.AggregatorMetrics,
    query.QueryMetrics,
    query.ExportMetrics,
    query.AnswerMetrics,
    query.KeptDaysMetrics,
    query.LiveMetrics,
    gateway.GatewayMetrics,
    gateway.PeopleMetrics,
    audit.AuditMetrics,
    aggregator.ErasureMetrics,
)


def every_metric() -> dict[str, Collector]:
    """Each series' name and what it belongs to; a histogram has several names."""
    registry = CollectorRegistry()
    for service in CLASSES:
        service(registry)
    return dict(registry._names_to_collectors)

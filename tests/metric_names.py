"""The metrics that the services export, as the tests of what names them need it."""

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from postmeter.shared.privacy import audit
from postmeter.shared.process import answer_metrics, erasure_metrics, metrics, people_metrics

CLASSES = (
    metrics.OpsMetrics,
    metrics.HopsMetrics,
    metrics.TrackingMetrics,
    metrics.AggregatorMetrics,
    metrics.QueryMetrics,
    metrics.ExportMetrics,
    answer_metrics.AnswerMetrics,
    answer_metrics.KeptDaysMetrics,
    metrics.LiveMetrics,
    metrics.GatewayMetrics,
    people_metrics.PeopleMetrics,
    audit.AuditMetrics,
    erasure_metrics.ErasureMetrics,
)


def every_metric() -> dict[str, Collector]:
    """Each series' name and what it belongs to; a histogram has several names."""
    registry = CollectorRegistry()
    for service in CLASSES:
        service(registry)
    return dict(registry._names_to_collectors)

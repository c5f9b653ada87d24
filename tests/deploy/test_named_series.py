"""Whatever a rule or a panel names exists: the metric, the labels it is asked by, their values."""

import re

from prometheus_client import Histogram
from prometheus_client.metrics import MetricWrapperBase

from tests.deploy.rule_files import expressions, recorded, series
from tests.metric_names import every_metric

SCRAPED = {"job", "instance", "namespace", "service"}
"""Labels that Prometheus adds."""
OPEN_ENDED = {"endpoint", "status", "source", "provider", "shard", "check", "zone", "ip_version"}
"""Labels whose values are known only when the services run."""
_GROUPED = re.compile(r"\b(?:by|without|ignoring|on)\s*\(([^)]*)\)")


def known_labels() -> set[str]:
    return {label for metric in every_metric().values() for label in getattr(metric, "_labelnames", ())}


def values(metric: MetricWrapperBase, label: str) -> set[str]:
    """Those that a metric is born with."""
    index = metric._labelnames.index(label)
    return {key[index] for key in metric._metrics}


def test_every_series_exists() -> None:
    metrics_of_ours, made = every_metric(), recorded()
    for expression in expressions():
        for name, matchers in series(expression):
            if name in made:
                continue
            metric = metrics_of_ours[name]
            assert isinstance(metric, MetricWrapperBase)
            for label, operator, value in matchers:
                if label in SCRAPED or (label == "le" and isinstance(metric, Histogram)):
                    continue
                assert label in metric._labelnames, (expression, label)
                if label in OPEN_ENDED or not metric._metrics:
                    continue
                asked = value.split("|") if operator.endswith("~") else [value]
                assert set(asked) <= values(metric, label), (expression, label, value)


def test_every_label_that_is_grouped_by_exists() -> None:
    known = known_labels() | SCRAPED | {"le"}
    for expression in expressions():
        for group in _GROUPED.findall(expression):
            assert {label.strip() for label in group.split(",")} <= known, expression

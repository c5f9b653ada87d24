"""Workspaces: campaigns side by side, with intervals, counts and significance."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from postmeter.query.documents.window import Window
from postmeter.query.documents.workspaces import formulas, lookups, significance
from postmeter.query.documents.workspaces.significance import Sample
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Query, Scope
from postmeter.shared.apis.documents import comparison as api
from postmeter.shared.http.fields import check_names, invalid
from postmeter.shared.storage.postgres import Pool

MIN_CAMPAIGNS, MAX_CAMPAIGNS = 2, 20
_HUNDREDTHS = Decimal("0.01")
_MILLIONTHS = Decimal("0.000001")


class ComparisonReport:
    """Which of several campaigns did best, and whether by more than chance."""

    def __init__(self, engine: Engine, pool: Pool) -> None:
        self._engine = engine
        self._pool = pool

    async def read(
        self, scope: Scope, campaign_ids: Sequence[str], metrics: Sequence[str], window: Window
    ) -> api.Comparison:
        """The campaigns and metrics in the order in which they were asked for.

        Raises FieldRefused for too few, too many, unknown or doubled names, RequestError 404 CAMPAIGN_NOT_FOUND.
        """
        _check(campaign_ids, metrics)
        names = {wanted: (await lookups.campaign(self._pool, scope, wanted)).name for wanted in campaign_ids}
        counts = await self._counts(scope, campaign_ids, window)
        return api.Comparison(
            comparison=[
                api.ComparedCampaign(
                    campaign_id=campaign,
                    campaign_name=names[campaign],
                    metrics={metric: formulas.rate(metric, counts[campaign]) for metric in metrics},
                    intervals={metric: _interval(_sample(metric, counts[campaign])) for metric in metrics},
                )
                for campaign in campaign_ids
            ],
            statistical_significance=[
                _significance(metric, {campaign: _sample(metric, found) for campaign, found in counts.items()})
                for metric in metrics
            ],
        )

    async def _counts(self, scope: Scope, campaign_ids: Sequence[str], window: Window) -> dict[str, dict[str, int]]:
        rows = await self._engine.rows(
            Query(
                scope=scope,
                metrics=formulas.METRICS,
                start=window.start,
                end=window.end_exclusive,
                dimensions=("campaign",),
                filters={"campaign": tuple(campaign_ids)},
            )
        )
        found = {row.keys[0]: row.values for row in rows}
        return {campaign: formulas.total([found[campaign]] if campaign in found else []) for campaign in campaign_ids}


def _check(campaign_ids: Sequence[str], metrics: Sequence[str]) -> None:
    if not MIN_CAMPAIGNS <= len(campaign_ids) <= MAX_CAMPAIGNS:
        raise invalid("campaign_ids", f"takes {MIN_CAMPAIGNS} to {MAX_CAMPAIGNS} campaigns")
    if len(set(campaign_ids)) < len(campaign_ids):
        raise invalid("campaign_ids", "names a campaign twice")
    if not metrics:
        raise invalid("metrics", "needs at least one metric")
    check_names("metrics", list(metrics), api.RATES)


def _sample(metric: str, counts: formulas.Counts) -> Sample:
    happened, out_of = formulas.RATES[metric]
    return Sample(counts[happened], counts[out_of])


def _interval(sample: Sample) -> api.Interval:
    if sample.trials == 0:
        return api.Interval(sample.successes, 0, None, None)
    lower, upper = (_rounded(100 * bound, _HUNDREDTHS) for bound in significance.wilson(sample))
    return api.Interval(sample.successes, sample.trials, lower, upper)


def _significance(metric: str, samples: dict[str, Sample]) -> api.Significance:
    """The winner has the highest rate; of equal ones it is the first by id. Without trials one does not compete."""
    tried = {campaign: sample for campaign, sample in samples.items() if sample.trials}
    if not tried:
        return api.Significance(metric, None, None, False)
    winner = min(tried, key=lambda campaign: (-tried[campaign].rate, campaign))
    others = [sample for campaign, sample in tried.items() if campaign != winner]
    if not others:
        return api.Significance(metric, winner, None, False)
    p = significance.largest_by_holm([significance.p_value(tried[winner], other) for other in others])
    return api.Significance(metric, winner, _rounded(Decimal(p), _MILLIONTHS), p < significance.LEVEL)


def _rounded(value: Decimal, unit: Decimal) -> Decimal:
    return value.quantize(unit, ROUND_HALF_UP)

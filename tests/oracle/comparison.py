"""Workspaces: campaigns side by side (semantics.md, "compare (Workspaces)"), computed to fifty digits."""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from typing import Any

from tests.oracle.asking import Asking, Refused, between
from tests.oracle.numbers import half_up
from tests.oracle.workspaces import RATES, known_campaign, rate, shown, window

DEFAULT = ["open_rate", "click_rate", "reply_rate", "delivery_rate"]
Z = Decimal("1.959963984540054235524594430520551527955550")
"""The normal distribution's 97.5 % quantile."""
PI = Decimal("3.14159265358979323846264338327950288419716939937510")
Trials = tuple[int, int]


def two_sided(z: Decimal) -> Decimal:
    """Chance that a standard normal lies at least |z| from 0: 1 - erf(|z| / sqrt 2), by erf's Taylor series."""
    with localcontext() as context:
        context.prec = 120
        x = abs(z) / Decimal(2).sqrt()
        if x > 12:
            return Decimal(0)
        term = total = x
        n = 0
        while abs(term) > Decimal(10) ** -90:
            n += 1
            term = -term * x * x / n
            total += term / (2 * n + 1)
        return 1 - 2 * total / PI.sqrt()


def p_value(one: Trials, other: Trials) -> Decimal:
    """Of the pooled two-proportion z-test. Equal rates that are all or nothing differ by nothing."""
    (x, n), (y, m) = bounded(one), bounded(other)
    with localcontext() as context:
        context.prec = 50
        pooled = Decimal(x + y) / (n + m)
        variance = pooled * (1 - pooled) * (Decimal(1) / n + Decimal(1) / m)
        if variance <= 0:
            return Decimal(1)
        return two_sided((Decimal(x) / n - Decimal(y) / m) / variance.sqrt())


def holm(found: list[Decimal]) -> list[Decimal]:
    """Holm's step-down correction: the k-th smallest of n times n - k + 1, never falling, at most 1."""
    corrected, highest = [], Decimal(0)
    for k, p in enumerate(sorted(found)):
        highest = max(highest, min(p * (len(found) - k), Decimal(1)))
        corrected.append(highest)
    return corrected


def bounded(of: Trials) -> Trials:
    """An event told twice counts twice, so there may be more successes than trials: then every trial succeeded."""
    return min(of), of[1]


def wilson(x: int, n: int) -> tuple[Decimal, Decimal]:
    """The 95 % Wilson score interval of x successes in n trials, as fractions."""
    with localcontext() as context:
        context.prec = 50
        p, z2 = Decimal(x) / n, Z * Z
        middle = p + z2 / (2 * n)
        half = Z * (p * (1 - p) / n + z2 / (4 * n * n)).sqrt()
        whole = 1 + z2 / n
        return (middle - half) / whole, (middle + half) / whole


def rounded(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def compare(
    asking: Asking,
    campaigns: list[str],
    metrics: list[str] | None = None,
    time_range: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> dict[str, Any]:
    """Workspaces, "Compare Campaigns"."""
    metrics = DEFAULT if metrics is None else metrics
    if any(metric not in RATES for metric in metrics):
        raise Refused(400, "INVALID_PARAMETER")
    since, until, _ = window(asking, time_range, start, end)
    names = {campaign: known_campaign(asking, campaign) for campaign in campaigns}
    counts = between(asking.counts(), since, until)
    found = {one: shown([count for count in counts if count.place.campaign == one]) for one in campaigns}
    rows = []
    for one in campaigns:
        rows.append(
            {
                "campaign_id": one,
                "campaign_name": names[one],
                "metrics": {metric: half_up(100 * rate(found[one], metric), 2) for metric in metrics},
                "intervals": {metric: interval(*trials(found[one], metric)) for metric in metrics},
            }
        )
    tested = [significance(metric, {one: trials(found[one], metric) for one in campaigns}) for metric in metrics]
    return {"success": True, "data": {"comparison": rows, "statistical_significance": tested}}


def trials(of: dict[str, int], metric: str) -> Trials:
    part, base = RATES[metric]
    return of[part], of[base]


def interval(x: int, n: int) -> dict[str, Any]:
    if not n:
        return {"successes": x, "trials": n, "lower": None, "upper": None}
    lower, upper = wilson(*bounded((x, n)))
    return {"successes": x, "trials": n, "lower": rounded(100 * lower, 2), "upper": rounded(100 * upper, 2)}


def significance(metric: str, found: dict[str, Trials]) -> dict[str, Any]:
    """The winner "is the highest rate"; equal ones: the first by id. "A rate without trials has no winner"."""
    tried = {one: x for one, x in found.items() if x[1]}
    if not tried:
        return {"metric": metric, "winner": None, "p_value": None, "is_significant": False}
    winner = min(tried, key=lambda one: (-Fraction(*tried[one]), one))
    others = [p_value(tried[winner], x) for one, x in tried.items() if one != winner]
    if not others:
        return {"metric": metric, "winner": winner, "p_value": None, "is_significant": False}
    worst = holm(others)[-1]
    return {"metric": metric, "winner": winner, "p_value": rounded(worst, 6), "is_significant": worst < Decimal("0.05")}

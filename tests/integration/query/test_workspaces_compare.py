"""Workspaces' compare: who competes, who wins, and how sure that is."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from tests.integration.report_moments import NOW
from tests.integration.reports import Api, reports
from tests.integration.running_query import Fact


@pytest.fixture
async def api(postgres_dsn: str, redis_url: str) -> AsyncIterator[Api]:
    async with reports(postgres_dsn, redis_url, NOW, date(2025, 8, 1)) as made:
        yield made


async def compared(api: Api, counts: dict[str, dict[str, int]], *metrics: str) -> list[dict[str, Any]]:
    for campaign, counters in counts.items():
        await api.campaign(campaign)
        await api.add(Fact(NOW, campaign, counters=counters))
    status, answer = await api.compare(*counts, metrics=metrics)
    assert status == 200, answer
    found: list[dict[str, Any]] = answer["data"]["statistical_significance"]
    assert [each["metric"] for each in found] == list(metrics)
    return found


async def test_a_rate_without_trials_has_no_winner(api: Api) -> None:
    found = await compared(api, {"a": {"sent": 10}, "b": {"sent": 10}}, "open_rate", "bounce_rate")
    assert found[0] == {"metric": "open_rate", "winner": None, "p_value": None, "is_significant": False}
    # Equal rates: the first by id, and nothing significant about it.
    assert found[1] == {"metric": "bounce_rate", "winner": "a", "p_value": 1, "is_significant": False}


async def test_a_campaign_without_trials_does_not_compete(api: Api) -> None:
    counts = {
        "a": {"sent": 5},
        "c": {"sent": 100, "delivered": 90},
        "b": {"sent": 50, "delivered": 50, "unique_opens": 1},
    }
    found = await compared(api, counts, "open_rate", "delivery_rate", "click_to_open_rate")
    assert found[0]["winner"] == "b"
    assert 0 < found[0]["p_value"] < 1
    assert found[1]["winner"] == "b"
    assert found[2] == {"metric": "click_to_open_rate", "winner": "b", "p_value": None, "is_significant": False}
    _, answer = await api.compare("a", "c", metrics=["open_rate"])
    assert answer["data"]["comparison"][0]["metrics"] == {"open_rate": 0}
    assert answer["data"]["comparison"][0]["intervals"] == {
        "open_rate": {"successes": 0, "trials": 0, "lower": None, "upper": None}
    }


async def test_holm_s_correction_is_for_all_others_and_the_largest_is_reported(api: Api) -> None:
    def opened(n: int) -> dict[str, int]:
        return {"sent": 1000, "delivered": 1000, "unique_opens": n}

    alone = (await compared(api, {"a": opened(300), "b": opened(255)}, "open_rate"))[0]
    assert alone["p_value"] == pytest.approx(0.0247, abs=1e-4)
    assert alone["is_significant"]
    await api.campaign("c")
    await api.add(Fact(NOW, "c", counters=opened(255)))
    _, answer = await api.compare("c", "b", "a", metrics=["open_rate"])
    both = answer["data"]["statistical_significance"][0]
    # Two equal p-values: Holm doubles the first of them, and the second cannot be less.
    assert both["winner"] == "a"
    assert both["p_value"] == pytest.approx(2 * 0.0247, abs=2e-4)
    await api.campaign("d")
    await api.add(Fact(NOW, "d", counters=opened(300)))
    _, answer = await api.compare("d", "c", "b", "a", metrics=["open_rate"])
    assert answer["data"]["statistical_significance"][0] == {
        "metric": "open_rate",
        "winner": "a",
        "p_value": 1,
        "is_significant": False,
    }


async def test_the_default_metrics(api: Api) -> None:
    await api.campaign("a")
    await api.campaign("b")
    _, answer = await api.compare("b", "a")
    assert await api.compare("b", "a", metrics=None, time_range=None, start_date=None) == (200, answer)
    assert [list(each["metrics"]) for each in answer["data"]["comparison"]] == [
        ["open_rate", "click_rate", "reply_rate", "delivery_rate"]
    ] * 2
    assert [each["campaign_id"] for each in answer["data"]["comparison"]] == ["b", "a"]

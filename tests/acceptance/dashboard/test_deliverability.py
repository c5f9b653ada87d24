"""The screens Deliverability, When and Compare."""

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Route, expect

from tests.acceptance.dashboard.answers import held_back
from tests.acceptance.dashboard.readings import counted, number, percent, report
from tests.acceptance.dashboard_visits import Visiting
from tests.acceptance.told_history import HOSTILE, ToldHistory

LOST = ("hard_bounced", "soft_bounced", "complained", "unique_unsubscribed")


def with_counts(answer: Any, counts: dict[str, int]) -> Any:
    return answer | {"data": [row | counts for row in answer["data"]]}


def told_with(counts: dict[str, int]) -> Callable[[Route], None]:
    def answer(route: Route) -> None:
        route.fulfill(json=with_counts(route.fetch().json(), counts))

    return answer


def test_complaints_are_held_against_the_lines(world: ToldHistory, visiting: Visiting) -> None:
    page = visiting().to("/deliverability?period=90d")
    told = counted(world)
    by = {"dimensions": ["mailbox_provider"], "order_by": "-sent"}
    groups = world.ask("POST", "/v1/query", {"metrics": ["complained", "delivered", "sent"], **by})["data"]
    assert told["complained"] == sum(row["complained"] for row in groups) > 2
    shown = page.locator(".scale li:not(.axis)").all()
    assert len(shown) == len(groups) + 1
    for row, place in zip([told, *groups], shown, strict=True):
        assert place.locator(".figure").inner_text() == percent(row["complained"], row["delivered"], 2)
        reached = row["complained"] > 1 and row["complained"] * 1000 >= row["delivered"]
        reports = row.get("mailbox_provider") != "gmail"
        expect(place).to_contain_text("over" if reached else "too little mail" if reports else "reports none")
    for more, kinds, sentence in (
        ({"complained": 1}, {"too little mail": 5}, "too little mail"),  # of so little mail one complaint says nothing
        ({"complained": 0}, {"too little mail": 4, "reports none": 1}, "No complaint among"),
        ({"complained": 0, "delivered": 5000}, {"under 0.1": 4, "reports none": 1}, "where they should be"),
    ):
        page.route("**/v1/query", told_with(more))
        page.get_by_role("button", name="Refresh").click()
        for kind, count in kinds.items():
            expect(page.locator(".scale li:not(.axis)", has_text=kind)).to_have_count(count)
        expect(page.locator(".scale .pale")).to_have_count(0 if "delivered" in more else len(shown))
        expect(page.locator(".sentence").first).to_contain_text(sentence)
        page.unroute("**/v1/query")
    silent = visiting().to(
        "/deliverability?period=90d&mailbox_provider=gmail"
    )  # the whole is not better known than its parts
    expect(silent.locator(".sentence").first).to_contain_text("their mailbox providers report none")
    expect(silent.locator(".scale li:not(.axis)", has_text="reports none")).to_have_count(2)
    calm = visiting().page
    calm.route("**/v1/query", told_with(dict.fromkeys(LOST, 0)))
    calm.goto(world.url + "/?period=90d")
    attention = calm.get_by_role("region", name="What needs attention")
    expect(attention).to_contain_text("of complaints so little mail says nothing")
    data = report(world, "deliverability", timeRange="90d")
    assert page.locator(".score b").inner_text() == str(data["overall"]["health_score"])
    parts = page.get_by_role("region", name="Health", exact=True).locator("tbody tr").all()
    assert len(data["health_parts"]) == len(parts) == 4
    for part, row in zip(data["health_parts"], parts, strict=True):
        lost = float(row.locator("td").inner_text().split()[0].replace("\N{MINUS SIGN}", "-"))
        assert lost == pytest.approx(-part["points"], abs=0.05)
        assert str(part["count"]) in row.locator("th").inner_text()
    reasons = page.get_by_role("region", name="Why mail bounces").locator("tbody tr")
    counts = [number(text.split()[0]) for text in reasons.locator("td").all_inner_texts()]
    assert counts == [reason["count"] for reason in data["bounce_analysis"]["top_bounce_reasons"]]


def test_what_comes_late_stands_where_it_belongs(world: ToldHistory, visiting: Visiting) -> None:
    visit = visiting()
    page = visit.page
    # What stands first comes last, and what stands in it was there before.
    with held_back(page, "**/v1/query", lambda body: "dimensions" not in body) as held:
        with page.expect_response(lambda answer: "dimensions" in (answer.request.post_data or "")):
            page.goto(world.url + "/deliverability")
        expect(page.get_by_role("region", name="Health", exact=True)).to_be_visible()
        assert held
    expect(page.locator(".scale")).to_be_visible()
    visit.settled()
    titles = [title.strip() for title in page.locator("main h1, main h2").all_inner_texts()]
    assert titles[:3] == ["Deliverability", "Complaints, by mailbox provider", "Complaints over time"]
    assert titles[3:5] == ["Health", "Health, day by day"]


def test_a_listed_address_is_named_with_its_list(world: ToldHistory, visiting: Visiting) -> None:
    page = visiting().page
    listed = {"ip": "192.0.2.7", "last_check": "2026-01-02T03:04:05Z", "listed_in": [HOSTILE, "zone.example"]}
    others: dict[str, Any] = {"ip": "2001:db8::1", "last_check": None, "listed_in": []}

    def with_addresses(route: Route) -> None:
        answer = route.fetch().json()
        answer["data"] |= {"sending_ips": [listed, others]}
        answer["data"]["blacklist_status"] |= {"any_ip_blacklisted": True, "ips_checked": 1}
        route.fulfill(json=answer)

    page.goto(world.url + "/deliverability")
    expect(page.get_by_role("region", name="Blocklists").locator("code")).to_contain_text("postmeter sending-ip add")
    page.route("**/analytics/deliverability?*", with_addresses)
    page.reload()
    lists = page.get_by_role("region", name="Blocklists")
    expect(lists.get_by_role("row", name="192.0.2.7")).to_contain_text(f"{HOSTILE}, zone.example")
    expect(lists.get_by_role("row", name="2001:db8::1")).to_contain_text("not looked up yet")


@pytest.mark.parametrize(("show", "field"), [("score", "engagement_score"), ("sent", "emails_sent")])
def test_the_week_s_hours_are_the_api_s(world: ToldHistory, visiting: Visiting, show: str, field: str) -> None:
    page = visiting().to(f"/when?period=90d&show={show}&zone=Asia%2FKathmandu")
    data = report(world, "engagement-heatmap", timeRange="90d", timezone="Asia/Kathmandu")
    assert sum(hour["emails_sent"] for hour in data["hours"]) == counted(world)["sent"]
    cells = {cell.get_attribute("aria-label"): cell for cell in page.get_by_role("gridcell").all()}
    assert len(cells) == 7 * 24
    filled = {name: cell.inner_text() for name, cell in cells.items() if name and "no mail" not in name}
    assert len(filled) == len(data["hours"])
    for hour in data["hours"]:
        name = next(name for name in filled if name.startswith(f"{hour['day_of_week']} {hour['hour']:02}:00: "))
        assert number(filled[name]) == int(Decimal(str(hour[field])).quantize(Decimal(1), ROUND_HALF_UP))
        assert ("too little mail" in name) != hour["compared"]
        score = re.search(r"score ([\d.]+) \(([\d.]+)\u2013([\d.]+)\)$", name)
        assert bool(score) == hour["compared"]
        assert not score or 0 <= float(score[2]) < float(score[1]) < float(score[3]) <= 100
        assert percent(hour["emails_opened"], hour["emails_sent"], 1) in name
    best = data["optimal_send_time"]
    expect(page.locator(".sentence")).to_contain_text(f"{best['day_of_week']} between {best['hour']:02}:00")
    expect(page.locator(".cell.best")).to_have_attribute("aria-label", re.compile(f"^{best['day_of_week']}"))
    page.get_by_text("The same as a table").click()
    scores = [float(text) for text in page.locator(".same tbody td:last-child").all_inner_texts()]
    assert sorted(scores) == pytest.approx(sorted(hour["engagement_score"] for hour in data["hours"]), abs=0.051)


def test_the_week_is_walked_by_the_keyboard(visiting: Visiting) -> None:
    page = visiting().to("/when?period=90d")
    expect(page.locator("main")).to_contain_text("Not yet sure. Its score is")  # of some sixty messages each
    best = page.locator(".cell.best")
    expect(best).to_have_attribute("tabindex", "0")
    best.focus()
    page.keyboard.press("Home")
    first = page.evaluate("document.activeElement.ariaLabel")
    assert " 00:00: " in first
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    now = page.evaluate("document.activeElement.ariaLabel")
    assert " 01:00: " in now
    assert now.split()[0] != first.split()[0] or first.startswith("Sunday")
    assert page.locator(".reading").inner_text().startswith(now.split()[0])
    expect(page.locator(".cell[tabindex='0']")).to_have_count(1)


def test_campaigns_are_compared_with_how_sure_that_is(world: ToldHistory, visiting: Visiting) -> None:
    campaigns = ["march", "april", "june"]
    page = visiting().to("/compare?" + urlencode([("campaign", one) for one in campaigns]))
    sections = {"Opened": "open_rate", "Clicked": "click_rate", "Bounced": "bounce_rate", "Complaints": "spam_rate"}
    path = f"/api/v1/workspaces/{world.product.ready['workspace']}/analytics/compare"
    body = {"campaign_ids": campaigns, "metrics": list(sections.values()), "time_range": "90d"}
    data = world.ask("POST", path, body)["data"]
    for (name, metric), test in zip(sections.items(), data["statistical_significance"], strict=True):
        section = page.get_by_role("region", name=name, exact=True)
        rows = section.locator(".scale li:not(.axis)").all()
        for one, row in zip(data["comparison"], rows, strict=True):
            interval = one["intervals"][metric]
            digits = max(len(row.locator(".label b").inner_text().partition(".")[2]) - 2, 0)
            assert row.locator(".label b").inner_text() == percent(interval["successes"], interval["trials"], digits)
            expect(row.locator(".label")).to_contain_text(f"of {interval['trials']}")
            upper = row.locator(".label span").last.inner_text().partition("\N{EN DASH}")[2]
            assert float(upper.split()[0]) == pytest.approx(interval["upper"], abs=0.051)
        winner = next(one["campaign_name"] for one in data["comparison"] if one["campaign_id"] == test["winner"])
        verdict = section.locator(".verdict").inner_text()
        assert winner in verdict
        assert verdict.startswith("Sure") == test["is_significant"]
        section.get_by_role("button", name=re.compile("the numbers")).click()
        expect(page.get_by_role("dialog").locator(".formula")).to_have_text(f"p = {test['p_value']:.6g}")
        page.keyboard.press("Escape")


def test_what_is_equal_has_no_best_and_an_interval_s_ends_are_rounded_once(
    world: ToldHistory, visiting: Visiting
) -> None:
    """They are 34.7487 and 40.7454 percent."""
    rounded = {"successes": 377, "trials": 1000, "lower": 34.75, "upper": 40.75}

    def alike(route: Route) -> None:
        answer = route.fetch().json()
        first = answer["data"]["comparison"][0]["intervals"] | {"open_rate": rounded}
        for one in answer["data"]["comparison"]:
            one["intervals"] = first
        route.fulfill(json=answer)

    page = visiting().page
    page.route("**/analytics/compare", alike)
    page.goto(world.url + "/compare?campaign=march&campaign=june")
    opened = page.get_by_role("region", name="Opened", exact=True)
    expect(opened.locator(".verdict")).to_contain_text("are the same")
    expect(opened.locator(".scale .label").first).to_contain_text("34.7\N{EN DASH}40.7")
    rounded["successes"] = 1200  # more than the whole is not a rate, and nowhere
    page.reload()
    expect(opened.locator(".scale .label b").first).to_have_text("\N{EN DASH}")
    opened.get_by_role("button", name=re.compile("the numbers")).click()
    expect(page.get_by_role("dialog").locator("tbody td").last).to_have_text(re.compile("^\N{EN DASH}"))


def test_what_is_compared_is_in_the_address(world: ToldHistory, visiting: Visiting) -> None:
    page = visiting().to("/compare")
    expect(page).to_have_url(re.compile("campaign=june&campaign=may"))
    chosen = page.get_by_role("group", name="Campaigns that are compared").get_by_role("link")
    chosen.filter(has_text="May news").click()
    page.locator("main .choice select").select_option("march")
    page.get_by_role("button", name="Add").click()
    expect(page).to_have_url(re.compile("campaign=march"))
    assert "campaign=may" not in page.url
    while chosen.count() > 1:
        before = chosen.count()
        chosen.first.click()
        expect(chosen).to_have_count(before - 1)
    expect(page.locator(".empty")).to_contain_text("Choose one more")

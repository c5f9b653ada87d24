"""Curves: what days are held against, which campaigns stand on them, and the way from a bucket to its days."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.acceptance.dashboard.readings import counted, figure, number
from tests.acceptance.dashboard_visits import Visiting
from tests.acceptance.told_history import CAMPAIGNS, MARKUP, ToldHistory


@pytest.mark.parametrize(
    ("period", "before"),
    [
        ("today", ("2026-11-23", "2026-11-23T09:00:00.000Z")),
        ("7d", ("2026-11-17", "2026-11-23T09:00:00.000Z")),
        ("30d", ("2026-09-27", "2026-10-26T09:00:00.000Z")),
        # 10:00 there as today, which was 08:00Z until October.
        ("90d", ("2026-06-03", "2026-08-31T08:00:00.000Z")),
    ],
)
def test_days_are_held_against_the_same_weekdays(visiting: Visiting, period: str, before: tuple[str, str]) -> None:
    visit = visiting()
    visit.page.clock.set_fixed_time("2026-11-30T09:00:00Z")
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.post_data or ""))
    visit.to(f"/?period={period}&zone=Europe/Berlin")
    assert any('"from":"{}","to":"{}"'.format(*before) in body for body in asked), asked
    visit.page.locator(".title a").click()  # the days that changes are against
    expect(visit.page).to_have_url(re.compile(f"from={before[0]}&to={before[1][:10]}$"))


def test_purchases_are_held_against_those_days_too(visiting: Visiting) -> None:
    visit = visiting()

    def bought(route: Route) -> None:
        if "conversions" not in (body := route.request.post_data or ""):
            return route.continue_()
        count = 40 if '"to":' in body else 50
        return route.fulfill(
            json={"data": [{"currency": "EUR", "conversions": count, "revenue": 9.5}], "next_cursor": None}
        )

    visit.page.route("**/v1/query", bought)
    revenue = visit.to("/?period=7d").locator(".figures li", has_text="Revenue")
    expect(revenue).to_contain_text("50 purchases")
    expect(revenue).to_contain_text("against 40 before")
    revenue.get_by_role("link", name="50 purchases").click()
    expect(visit.page).to_have_url(re.compile("/explore\\?.*metric=conversions&by=campaign"))
    expect(visit.page.locator("h1")).to_have_text("Explore")


def test_campaigns_stand_on_the_curve_where_they_were_sent(world: ToldHistory, visiting: Visiting) -> None:
    page = visiting().to("/?period=30d&zone=UTC")
    page.locator(".same summary").click()
    days = [f"{world.now - timedelta(days=29 - n):%a}" for n in range(30)]
    assert [name.split()[0].strip(",") for name in page.locator(".same tbody th").all_inner_texts()] == days
    expected = {29 - days: name for _, name, days, _ in CAMPAIGNS} | {27: MARKUP}
    told = page.locator(".same tbody td:last-child").all_inner_texts()
    assert {at: text for at, text in enumerate(told) if text} == expected
    # Filters hold for them as for numbers.
    page.goto(page.url + "&campaign=june")
    page.locator(".same summary").click()
    expect(page.locator(".same tbody td:last-child a")).to_have_text(["June news"])
    page.locator(".plot").focus()
    page.keyboard.press("End")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(page.locator(".notes")).to_have_text("Campaigns sent: June news")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".notes")).to_have_text("")
    page.locator(".same tbody td:last-child a").click()
    expect(page.locator("h1")).to_have_text("June news")


@pytest.mark.parametrize("by", ["name", "Enter", "click"])
def test_a_bucket_leads_to_what_it_is_made_of(world: ToldHistory, visiting: Visiting, by: str) -> None:
    page = visiting().to("/?period=30d&zone=UTC&who=people")
    page.locator(".same summary").click()
    opens = list(map(number, page.locator(".same tbody td:first-of-type").all_inner_texts()))
    at = opens.index(max(opens))
    day = f"{world.now - timedelta(days=29 - at):%Y-%m-%d}"
    if by == "name":
        page.locator(".same tbody th a").nth(at).click()
    elif by == "Enter":
        page.locator(".plot").focus()
        page.keyboard.press("Home")
        for _ in range(at):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
    else:
        clicked(page.locator(".u-over"), at / 29)
    expect(page).to_have_url(re.compile(f"from={day}&to={day}"))
    expect(page.locator(".title")).to_contain_text("zone UTC")
    expect(page.get_by_role("button", name=re.compile(f"^{opens[at]}, Opens: explain"))).to_be_visible()
    page.go_back()
    expect(page.locator(".same tbody tr")).to_have_count(30)


def clicked(place: Locator, part: float) -> None:
    box = place.bounding_box()
    assert box
    place.page.mouse.move(box["x"] + box["width"] * part, box["y"] + 20)
    place.page.mouse.down()
    place.page.mouse.up()


def test_a_month_leads_to_all_of_its_days(world: ToldHistory, visiting: Visiting) -> None:
    page = visiting().to("/explore?metric=sent&per=month&period=90d&zone=UTC")
    page.locator(".same summary").click()
    months = page.locator(".same tbody tr")
    expect(months.locator("th a").last).to_be_visible()
    sent = [number(text) for text in months.locator("td").all_inner_texts()]
    assert sum(sent) == counted(world)["sent"]
    at = max(n for n, count in enumerate(sent) if count)
    months.locator("th a").nth(at).click()
    expect(page).to_have_url(re.compile("from="))
    page.get_by_role("link", name="Overview", exact=True).click()
    page.locator(".figures").first.wait_for()
    assert figure(page, "Delivered") == counted(world, **window(page.url))["delivered"]
    page.go_back()
    page.get_by_label("In what steps").select_option("total")
    expect(page.locator("main tbody td")).to_have_text(str(sent[at]))


def window(url: str) -> dict[str, str]:
    return dict(re.findall(r"\b(from|to)=([\d-]+)", url))

"""Curves: what days are held against, which campaigns stand on them, and the way from a bucket to its days."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.acceptance.dashboard.readings import counted, figure, number
from tests.acceptance.dashboard_visits import Visiting
from tests.acceptance.told_history import CAMPAIGNS, MARKUP, ToldHistory

COUNTING = """() => {
    window.made = 0;
    window.URLSearchParams = class extends URLSearchParams { constructor(...given) { super(...given); made++; } };
}"""
"""Counts the addresses that are made."""


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
    page.evaluate(COUNTING)
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate("made") < 30  # the table, with an address for each day, is not made anew where one only looks
    expect(page.locator(".notes")).to_have_text("\u25b2 Campaigns sent June news")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".notes")).to_have_text("\u25b2 Campaigns sent ")  # what a mark is
    page.locator(".same tbody td:last-child a").click()
    expect(page.locator("h1")).to_have_text("June news")


def test_what_was_sent_before_the_days_has_no_mark_though_its_week_has_one(
    world: ToldHistory, visiting: Visiting
) -> None:
    page = visiting().page
    monday = world.now.date() - timedelta(days=140 + world.now.weekday())
    sent = {"june": monday + timedelta(days=1), "may": monday + timedelta(days=3)}

    def moved(route: Route) -> None:
        answer = route.fetch().json()
        for campaign in answer["data"]:
            if campaign["id"] in sent:
                campaign["sent_at"] = f"{sent[campaign['id']]}T12:00:00Z"
        route.fulfill(json=answer)

    page.route("**/v1/campaigns?*", moved)
    page.goto(f"{world.url}/?from={monday + timedelta(days=2)}&to={world.now:%Y-%m-%d}&zone=UTC")
    page.locator(".same summary").click()
    expect(page.locator(".same tbody tr").first.locator("td:last-child a")).to_have_text(["May news"])


def test_days_are_those_that_a_query_takes(world: ToldHistory, visiting: Visiting) -> None:
    """Ten years of them, and none that have no days before them."""
    visit = visiting()
    page = visit.to(f"/?from={world.now.year - 8}-01-01&to={world.now:%Y-%m-%d}&zone=UTC")
    page.get_by_role("link", name="Zoom out").click()
    expect(page).to_have_url(re.compile(f"from={world.now - timedelta(days=3649):%Y-%m-%d}&to={world.now:%Y-%m-%d}"))
    expect(page.get_by_role("link", name="30 days")).not_to_have_attribute("aria-current", "true")
    page = visit.to("/?from=0001-01-01&to=0009-12-31")
    expect(page.get_by_role("link", name="30 days")).to_have_attribute("aria-current", "true")


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
    expect(page.locator(":focus")).to_have_count(1)  # also where the row that led there is gone
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

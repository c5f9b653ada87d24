"""The dashboard in a real Chromium, on the whole product: what stands on a screen is what the API says."""

import csv
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, Route, expect
from playwright.sync_api import Error as PlaywrightError

from tests.acceptance.dashboard_visits import AXE, FOREIGN, RULES, Visit, barriers_of, signed_in, until_focused
from tests.acceptance.told_history import CAMPAIGNS, HOSTILE, MARKUP, World
from tests.browser import PATIENCE
from tests.product import running, wait_for

TEXTS = Path(__file__).parents[2] / "gateway/postmeter/gateway/site/dashboard/texts"
ONE_SCREEN = 105_000
"""Bytes that a screen may take before data, for a browser that has none of them."""
ALL_SCREENS = 170_000
"""Bytes that all screens together may take."""
SCRIPTS = ("/main.js", "/uPlot.iife.min.js")
UNSPLIT = ("sent", "delivered", "hard_bounced", "soft_bounced", "complained", "unique_opens", "unique_clicks")
OPENS = {
    "people": ("human_opens",),
    "proxies": ("human_opens", "proxy_opens"),
    "all": ("human_opens", "proxy_opens", "machine_opens"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("dashboard")) as product:
        yield World(product)


Visiting = Callable[..., Visit]


@pytest.fixture
def visiting(world: World, browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Makes visits of somebody who is signed in; in the end nothing was complained of, nor asked of anybody else."""
    contexts, visits = [], []

    def visit(**options: Any) -> Visit:
        contexts.append(signed_in(world.product, browser, **options))
        visits.append(Visit(world.url, contexts[-1].new_page()))
        return visits[-1]

    yield visit
    for context in contexts:
        context.close()
    for made in visits:
        made.was_quiet()


def number(text: str) -> int:
    """A count as the page prints it."""
    return int(re.sub(r"[^0-9]", "", text))


def figure(place: Page | Locator, name: str) -> int:
    """The number of the figure whose explanation is of `name`."""
    return number(place.locator("button.figure", has_text=re.compile("")).and_(
        place.get_by_role("button", name=re.compile(f", {name}: explain"))).first.inner_text())  # fmt: skip


def counted(world: World, **more: Any) -> dict[str, int]:
    metrics = [*UNSPLIT, "human_opens", "proxy_opens", "machine_opens", "clicks", "machine_clicks", "bounced"]
    rows = world.ask("POST", "/v1/query", {"metrics": metrics} | more)["data"]
    assert len(rows) == 1
    return dict(rows[0])


def screens(world: World) -> dict[str, str]:
    """Every screen by an address that has something to show."""
    return {
        "overview": "/?who=all",
        "campaigns": "/campaigns",
        "campaign": "/campaigns/june?who=all",
        "hostile campaign": f"/campaigns/{quote(HOSTILE, safe='')}?list=bounced",
        "message": f"/messages/{world.hostile}",
        "explore": "/explore?per=day&by=mailbox_provider",
        "explored": "/explore?metric=clicks&metric=machine_clicks&by=link",
        "explained": "/?explain=opened",
        "login": "/login",
        "deliverability": "/deliverability?period=90d",
        "when": "/when?period=90d",
        "compare": f"/compare?campaign=march&campaign=june&campaign={quote(HOSTILE, safe='')}",
        "live": "/live?pause=1",
        "compared": "/compare?campaign=march&campaign=june&explain=open_rate",
        "settings": "/settings",
        "privacy": "/settings/privacy",
    }


@dataclass(frozen=True)
class Seen:
    """What one screen showed. barriers: what axe finds of WCAG 2.2 A and AA, in light, and of contrast in dark. width:
    of the page where the window has 360 pixels. sizes: bytes of answers' bodies, by URL; 0: was kept. named: paths of
    the modules that the page's head names.
    """

    barriers: list[Any]
    width: int
    elements: int
    title: str
    text: str
    sizes: dict[str, int]
    named: set[str]


@pytest.fixture(scope="module")
def tour(world: World, browser: Browser) -> dict[str, Seen]:
    """Every screen, looked at once by somebody who looks at everything."""
    context = signed_in(world.product, browser)
    visit = Visit(world.url, context.new_page())
    sizes: dict[str, int] = {}
    # What was kept has a size below zero there.
    visit.page.on(
        "requestfinished",
        lambda request: sizes.update({request.url: max(0, request.sizes()["responseBodySize"])}),
    )
    seen = {}
    for name, path in screens(world).items():
        sizes.clear()
        visit.page.emulate_media(color_scheme="light")
        visit.page.set_viewport_size({"width": 1280, "height": 800})
        page = visit.to(path)
        page.evaluate(AXE)
        barriers = barriers_of(page, {"type": "tag", "values": RULES})
        page.emulate_media(color_scheme="dark")
        barriers += barriers_of(page, {"type": "rule", "values": ["color-contrast"]})
        page.set_viewport_size({"width": 360, "height": 740})
        width = page.evaluate("document.documentElement.scrollWidth")
        elements = page.locator(FOREIGN).count()
        text = page.locator("body").inner_text()
        named = set(page.evaluate("[...document.querySelectorAll('[rel=modulepreload]')].map(({ href }) => href)"))
        paths = {urlsplit(url).path for url in named}
        seen[name] = Seen(barriers, width, elements, page.title(), text, dict(sizes), paths)
    context.close()
    visit.was_quiet()
    return seen


@pytest.mark.parametrize("who", OPENS)
def test_the_overview_s_numbers_are_the_api_s(world: World, visiting: Visiting, who: str) -> None:
    page = visiting().to(f"/?who={who}&period=90d")
    told = counted(world, **{"from": (world.now.date().replace(year=world.now.year - 1)).isoformat()})
    assert figure(page, "Delivered") == told["delivered"]
    assert figure(page, "Opens") == sum(told[metric] for metric in OPENS[who])
    assert figure(page, "Opened") == told["unique_opens"]
    assert figure(page, "Clicks") == told["clicks"] + (told["machine_clicks"] if who == "all" else 0)
    assert figure(page, "Clicked") == told["unique_clicks"]
    assert figure(page, "Bounced") == told["bounced"]


def test_a_curve_says_day_by_day_what_the_api_says(world: World, visiting: Visiting) -> None:
    zone = "Pacific/Auckland"
    page = visiting().to(f"/?period=30d&zone={zone}&who=all")
    page.locator(".same summary").click()
    names = page.locator(".same thead th").all_inner_texts()
    shown = [list(map(number, row.locator("td").all_inner_texts())) for row in page.locator(".same tbody tr").all()]
    today = datetime.now(ZoneInfo(zone)).date()
    body = {"metrics": list(OPENS["all"]), "resolution": "day", "timezone": zone}
    told = world.ask("POST", "/v1/query", body | {"from": (today - timedelta(days=29)).isoformat()})["data"]
    assert names == ["Time", "people", "with proxies", "with machines"]
    assert shown == [[sum(row[metric] for metric in OPENS[who]) for who in OPENS] for row in told]


def test_the_switch_changes_everything_at_once_and_is_in_the_address(world: World, visiting: Visiting) -> None:
    page = visiting().to("/?period=90d")
    before = figure(page, "Opens")
    lines = page.locator(".reading span").count()
    page.get_by_role("link", name="All", exact=True).click()
    expect(page).to_have_url(re.compile("who=all"))
    expect(page.locator(".reading span")).to_have_count(lines + 1)
    assert figure(page, "Opens") > before
    page.get_by_role("link", name="Campaigns", exact=True).click()
    expect(page).to_have_url(re.compile("/campaigns\\?.*who=all"))
    row = page.get_by_role("row", name=re.compile("June news"))
    told = counted(world, filters={"campaign": ["june"]})
    assert figure(row, "Opens") == sum(told[metric] for metric in OPENS["all"])
    page.go_back()
    page.go_back()
    expect(page.get_by_role("link", name="People and proxies")).to_have_attribute("aria-current", "true")


@pytest.mark.parametrize("campaign", [campaign for campaign, *_ in CAMPAIGNS[-2:]])
def test_a_campaign_s_numbers_are_those_of_another_api(world: World, visiting: Visiting, campaign: str) -> None:
    page = visiting().to(f"/campaigns/{campaign}")
    workspace = world.product.ready["workspace"]
    answer = world.ask("GET", f"/api/v1/workspaces/{workspace}/campaigns/{campaign}/analytics?timeRange=90d")
    told = answer["data"]["summary"]
    names = {"Sent": "sent", "Delivered": "delivered", "Opened": "opened", "Clicked": "clicked", "Bounced": "bounced"}
    for name, field in names.items():
        assert figure(page, name) == told[f"emails_{field}"], name
    assert figure(page, "Unsubscribes") == told["unsubscribes"]
    links = world.ask(
        "POST",
        "/v1/query",
        {"metrics": ["clicks"], "dimensions": ["link"], "filters": {"campaign": [campaign]}, "order_by": "-clicks"},
    )["data"]
    shown = page.get_by_role("region", name="Links").locator("tbody tr")
    assert [(row.locator("th").inner_text(), number(row.locator("td").first.inner_text())) for row in shown.all()] == [
        (link["link"], link["clicks"]) for link in links
    ]


@pytest.mark.parametrize("engagement", ["clicked", "not_opened", "bounced"])
def test_who_is_listed_page_by_page(world: World, visiting: Visiting, engagement: str) -> None:
    page = visiting().to(f"/campaigns/june?list={engagement}")
    search = {"engagement": engagement, "filters": {"campaign": ["june"]}, "limit": 1000}
    told = [message["recipient_ref"] for message in world.ask("POST", "/v1/messages/search", search)["data"]]
    rows = page.get_by_role("region", name="Who").locator("tbody th")
    while page.get_by_role("button", name="Show more").count():
        page.get_by_role("button", name="Show more").click()
        expect(page.locator(".loading")).to_have_count(0)
    assert rows.all_inner_texts() == told
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV: Who").click()
    rows_of_file = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert [row["recipient_ref"] for row in rows_of_file] == told


def test_explore_answers_what_the_address_asks(world: World, visiting: Visiting) -> None:
    page = visiting().to("/explore?metric=sent&metric=unique_opens&by=mailbox_provider")
    body = {"metrics": ["sent", "unique_opens"], "dimensions": ["mailbox_provider"], "order_by": "-sent"}
    told = sorted((row["sent"], row["unique_opens"]) for row in world.ask("POST", "/v1/query", body)["data"])
    rows = page.locator("main tbody tr").all()
    assert sorted(tuple(map(number, row.locator("td").all_inner_texts())) for row in rows) == told
    page.get_by_label("In what steps").select_option("day")
    expect(page).to_have_url(re.compile("per=day"))
    expect(page.locator(".multiples section")).to_have_count(len(told))


@pytest.mark.parametrize("who", OPENS)
def test_explore_follows_the_switch(world: World, visiting: Visiting, who: str) -> None:
    page = visiting().to(f"/explore?metric=opens&who={who}")
    told = counted(world)
    shown = number(page.locator("main tbody td").inner_text())
    assert shown == sum(told[metric] for metric in OPENS[who])


def test_days_follow_the_zone_that_is_chosen(world: World, visiting: Visiting) -> None:
    visit = visiting()
    page = visit.to("/?period=today&zone=Etc/GMT%2B12")
    page.locator("summary", has_text="Time zone").click()
    page.locator(".dropped select").select_option("Pacific/Kiritimati")
    expect(page).to_have_url(re.compile("zone=Pacific%2FKiritimati"))
    today = datetime.now(ZoneInfo("Pacific/Kiritimati"))
    expect(page.locator(".title")).to_contain_text(f"{today.day} {today:%b}")
    expect(page.locator(".dropped select")).to_have_count(0)


def test_a_filter_that_is_added_narrows_everything(world: World, visiting: Visiting) -> None:
    visit = visiting()
    page = visit.to("/?period=90d")
    page.locator("summary", has_text="Filter").click()
    page.locator(".filters .dropped select").select_option("mailbox_provider")
    page.locator("#filter-values option[value=gmail]").wait_for(state="attached")
    page.get_by_label("Value, exactly").fill("gmail")
    page.get_by_role("button", name="Add").click()
    expect(page).to_have_url(re.compile("mailbox_provider=gmail"))
    told = counted(world, filters={"mailbox_provider": ["gmail"]})
    expect(page.locator(".figures .big button").first).to_have_text(str(told["delivered"]))
    page.get_by_role("link", name=re.compile("Take away the filter Mailbox provider: Gmail")).click()
    expect(page.locator(".figures .big button").first).to_have_text(str(counted(world)["delivered"]))


def report(world: World, path: str, **query: str) -> Any:
    """The data of a report of the workspace."""
    url = f"/api/v1/workspaces/{world.product.ready['workspace']}/analytics/{path}?{urlencode(query)}"
    return world.ask("GET", url)["data"]


def percent(part: int, whole: int, digits: int) -> str:
    """A rate as the page prints it."""
    exact = Decimal(100 * part) / whole
    return f"{exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)}\N{NARROW NO-BREAK SPACE}%"


def test_complaints_are_held_against_the_lines(world: World, visiting: Visiting) -> None:
    page = visiting().to("/deliverability?period=90d")
    told = counted(world)
    by = {"dimensions": ["mailbox_provider"], "order_by": "-sent"}
    groups = world.ask("POST", "/v1/query", {"metrics": ["complained", "delivered", "sent"], **by})["data"]
    assert told["complained"] == sum(row["complained"] for row in groups) > 2
    shown = page.locator(".scale li:not(.axis)").all()
    assert len(shown) == len(groups) + 1
    for row, place in zip([told, *groups], shown, strict=True):
        assert place.locator(".figure").inner_text() == percent(row["complained"], row["delivered"], 2)
        reached = row["complained"] * 1000 >= row["delivered"] and row["complained"]
        expect(place).to_contain_text("over" if reached else "under")
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


def test_what_comes_late_stands_where_it_belongs(world: World, visiting: Visiting) -> None:
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


@contextmanager
def held_back(page: Page, path: str, which: Callable[[str], object]) -> Iterator[list[Route]]:
    """Requests to a path whose body is one of `which`, unanswered until the end."""
    held: list[Route] = []
    page.route(path, lambda route: held.append(route) if which(route.request.post_data or "") else route.continue_())
    yield held
    page.unroute(path)


def comes_late(page: Page, held: list[Route], answer: Any) -> None:
    """The request that was held back has an answer now, and the page has it, if it still wants one."""
    with suppress(PlaywrightError):  # nobody waits for it any more
        held[0].fulfill(json=answer)
    assert page.evaluate("fetch('/session').then((answer) => answer.status)") == 200


def test_an_older_answer_that_comes_later_replaces_nothing(world: World, visiting: Visiting) -> None:
    page = visiting().to("/campaigns/june?list=not_opened")
    clicked = {"engagement": "clicked", "filters": {"campaign": ["june"]}}
    told = world.ask("POST", "/v1/messages/search", clicked)["data"]
    with held_back(page, "**/v1/messages/search", lambda body: "cursor" in body) as held:
        with page.expect_request("**/v1/messages/search"):
            page.get_by_role("button", name="Show more").click()
        who = page.get_by_role("region", name="Who")
        who.get_by_role("link", name="Clicked", exact=True).click()
        rows = who.locator("tbody th")
        expect(rows).to_have_text([message["recipient_ref"] for message in told])
        comes_late(page, held, {"data": [told[0] | {"recipient_ref": "late"}], "next_cursor": None})
        expect(rows).to_have_text([message["recipient_ref"] for message in told])
    page = visiting().to("/explore?metric=sent")
    with held_back(page, "**/v1/query", lambda body: "deferred" in body) as held:
        with page.expect_request("**/v1/query"):
            page.get_by_label("What", exact=True).select_option("deferred")
        page.get_by_label("What", exact=True).select_option("delivered")
        cell, delivered = page.locator("main tbody td"), counted(world)["delivered"]
        expect(cell).to_have_text(str(delivered))
        comes_late(page, held, {"data": [{"deferred": 7}]})
        expect(cell).to_have_text(str(delivered))


def test_a_listed_address_is_named_with_its_list(world: World, visiting: Visiting) -> None:
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
def test_the_week_s_hours_are_the_api_s(world: World, visiting: Visiting, show: str, field: str) -> None:
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
        assert percent(hour["emails_opened"], hour["emails_sent"], 1) in name
    best = data["optimal_send_time"]
    expect(page.locator(".sentence")).to_contain_text(f"{best['day_of_week']} between {best['hour']:02}:00")
    expect(page.locator(".cell.best")).to_have_attribute("aria-label", re.compile(f"^{best['day_of_week']}"))
    page.get_by_text("The same as a table").click()
    scores = [float(text) for text in page.locator(".same tbody td:last-child").all_inner_texts()]
    assert sorted(scores) == pytest.approx(sorted(hour["engagement_score"] for hour in data["hours"]), abs=0.051)


def test_the_week_is_walked_by_the_keyboard(visiting: Visiting) -> None:
    page = visiting().to("/when?period=90d")
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


def test_campaigns_are_compared_with_how_sure_that_is(world: World, visiting: Visiting) -> None:
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


def test_what_is_compared_is_in_the_address(world: World, visiting: Visiting) -> None:
    page = visiting().to("/compare")
    expect(page).to_have_url(re.compile("campaign=june&campaign=may"))
    chosen = page.get_by_role("group", name="Campaigns that are compared").get_by_role("link")
    chosen.filter(has_text="May news").click()
    page.locator("main .choice select").select_option("march")
    expect(page).to_have_url(re.compile("campaign=march"))
    assert "campaign=may" not in page.url
    while chosen.count() > 1:
        before = chosen.count()
        chosen.first.click()
        expect(chosen).to_have_count(before - 1)
    expect(page.locator(".empty")).to_contain_text("Choose one more")


def test_a_number_explains_itself_with_its_messages_and_its_command(world: World, visiting: Visiting) -> None:
    visit = visiting()
    page = visit.to("/?period=90d")
    page.get_by_role("button", name=re.compile(", Opened: explain")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("tbody tr").first).to_be_visible()
    visit.settled()
    told = counted(world)
    assert f"{told['unique_opens']} ÷ {told['delivered']}" in dialog.locator(".formula").inner_text()
    command = shlex.split(dialog.locator("code").inner_text())
    url = next(word for word in command if word.startswith(world.url))
    answer = requests.post(url, data=command[command.index("-d") + 1], headers=world.product.headers, timeout=60)
    assert sum(row["unique_opens"] for row in answer.json()["data"]) == told["unique_opens"]
    # Its address opens it for somebody else, and a message behind it has a screen.
    other = visiting().to(urlsplit(page.url).path + "?" + urlsplit(page.url).query)
    other.get_by_role("dialog").locator("tbody th a").first.click()
    expect(other).to_have_url(re.compile("/messages/"))
    expect(other.locator(".life li").first).to_be_visible()


def test_a_message_s_life_is_told_with_verdicts_and_reasons(world: World, visiting: Visiting) -> None:
    page = visiting().to(f"/messages/{world.scanned}")
    told = world.ask("GET", f"/v1/messages/{world.scanned}/events")["data"]["events"]
    assert page.locator(".life li").count() == len(told) + 1
    machine = page.locator(".life li", has_text="by a machine: not counted as an open")
    expect(machine).to_contain_text("says that it is a robot")
    assert sum(event["verdict"] == "machine" for event in told) == machine.count() == 1


def test_a_list_says_whose_opens_it_is_of(world: World, tour: dict[str, Seen]) -> None:
    """The search knows people and proxies together, and no machines; where the switch counts others, that is said."""
    of_machines = "Those that only machines opened cannot be searched for"
    for name, is_said in (("campaign", True), ("explained", False)):
        assert "Messages that people or image proxies opened." in tour[name].text
        assert (of_machines in tour[name].text) is is_said
    told = world.ask("GET", f"/v1/messages/{world.unread}/events")["data"]["events"]
    assert {event["verdict"] for event in told if event["type"] == "opened"} == {"machine"}
    for engagement, is_found in (("opened", False), ("not_opened", True)):
        found = world.ask("POST", "/v1/messages/search", {"engagement": engagement, "limit": 1000})["data"]
        assert (world.unread in [message["id"] for message in found]) is is_found


def test_nothing_stands_in_anybody_s_way(tour: dict[str, Seen]) -> None:
    found = {name: seen.barriers for name, seen in tour.items()}
    assert found == {name: [] for name in tour}


def test_a_telephone_need_not_scroll_sideways(tour: dict[str, Seen]) -> None:
    assert {name: seen.width for name, seen in tour.items()} == dict.fromkeys(tour, 360)


def test_no_text_is_missing_from_a_screen(tour: dict[str, Seen]) -> None:
    keys = json.loads((TEXTS / "en.json").read_text()).keys()
    beginnings = tuple({key.partition(".")[0] + "." for key in keys})
    for name, seen in tour.items():
        words = (word.strip(".,") for word in seen.text.split())
        keys_shown = [word for word in words if word.startswith(beginnings)]
        assert keys_shown == [], name


def test_all_of_it_works_by_the_keyboard(world: World, visiting: Visiting) -> None:
    page = visiting().to("/?period=90d")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    until_focused(page, "[aria-label*=', Opens: explain']")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement.matches('[aria-label*=\", Opens: explain\"]')")
    until_focused(page, ".plot")
    last = page.locator(".reading").inner_text()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".reading").inner_text() != last
    page.keyboard.press("End")
    assert page.locator(".reading").inner_text() == last
    until_focused(page, ".same > summary")
    page.keyboard.press("Enter")
    expect(page.locator(".same tbody tr")).to_have_count(90)


def test_markup_is_text_wherever_it_stands(tour: dict[str, Seen], visiting: Visiting) -> None:
    assert {name: seen.elements for name, seen in tour.items()} == dict.fromkeys(tour, 0)
    assert [name for name, seen in tour.items() if "stolen" in seen.title] == []
    for name in ("campaigns", "hostile campaign", "message", "compare"):
        assert MARKUP in tour[name].text, name
    everything = quote(MARKUP, safe="")
    named = ("zone", "period", "who", "curve", "explain", "from", "to", "tag", "sort", "providers")
    page = visiting().to("/?" + "&".join(f"{name}={everything}" for name in named))
    assert page.locator(FOREIGN).count() == 0
    assert MARKUP in page.locator("body").inner_text()


def test_the_page_is_light_and_is_kept(tour: dict[str, Seen], visiting: Visiting) -> None:
    sizes: dict[str, int] = {}
    for seen in tour.values():
        sizes |= {url: max(size, sizes.get(url, 0)) for url, size in seen.sizes.items()}
    assets = [size for url, size in sizes.items() if "/dashboard/" in url]
    # The page itself is one, whatever the address it was looked at by.
    page = max(size for url, size in sizes.items() if "/dashboard/" not in url and "/v1/" not in url)
    assert len(assets) > 20
    assert sum(assets) + page < ALL_SCREENS, sum(assets) + page
    for name, seen in tour.items():
        loaded = {url for url in seen.sizes if "/dashboard/" in url}
        assert page + sum(sizes[url] for url in loaded) < ONE_SCREEN, name
        # The head names what the screen needs: nothing is found late, and nothing else is loaded.
        modules = {urlsplit(url).path for url in loaded if url.endswith(".js") and not url.endswith(SCRIPTS)}
        assert modules == seen.named, name
    again = {url: size for url, size in tour["explained"].sizes.items() if "/dashboard/" in url}
    assert again
    assert not any(again.values())


def test_every_language_says_everything(world: World, visiting: Visiting) -> None:
    texts = {file.stem: json.loads(file.read_text()) for file in TEXTS.iterdir()}
    assert {"en", "de"} <= texts.keys()
    for said in texts.values():
        assert said.keys() == texts["en"].keys()
        for key, text in said.items():
            assert placeholders(text) == placeholders(texts["en"][key]), key
    page = visiting(locale="de-CH").to("/")
    assert page.locator("html").get_attribute("lang") == "de"
    expect(page.locator("h1")).to_have_text("Überblick")
    page.get_by_label("Sprache").select_option("en")
    expect(page.locator("h1")).to_have_text("Overview")


def placeholders(text: str | dict[str, str]) -> set[str]:
    forms = [text] if isinstance(text, str) else text.values()
    return {name for form in forms for name in re.findall(r"\{(\w+)\}", form)}


@contextmanager
def answering(page: Page, path: str, *answers: dict[str, Any]) -> Iterator[list[str]]:
    """Gives these answers to the first requests for a path, and the true ones after."""
    left, given = list(answers), []

    def answer(route: Route) -> None:
        given.append(route.request.url)
        if not left:
            route.continue_()
        elif left[0].get("abort"):
            left.pop(0)
            route.abort()
        else:
            route.fulfill(**left.pop(0))

    page.route("**" + path, answer)
    yield given
    page.unroute("**" + path)


def refusal(status: int, code: str, **headers: str) -> dict[str, Any]:
    return {"status": status, "json": {"error": {"code": code, "message": "said by the server"}}, "headers": headers}


def test_what_goes_wrong_says_what_to_do(world: World, visiting: Visiting) -> None:
    visit = visiting()
    visit.expected = "Failed to load resource"
    page = visit.page
    with answering(page, "/v1/messages/*/events", refusal(503, "UNAVAILABLE", **{"Retry-After": "0"})) as asked:
        visit.to(f"/messages/{world.hostile}")  # told to wait, it waits and asks again
        assert len(asked) == 2
    for given, words in (
        (refusal(500, "INTERNAL_ERROR", **{"X-Request-Id": "abc-1"}), "Number of the request: abc-1"),
        (refusal(429, "RATE_LIMITED", **{"Retry-After": "60"}), "Wait a minute"),
        (refusal(403, "FORBIDDEN"), "right analytics"),
        ({"abort": True}, "Is it running"),
    ):
        with answering(page, "/v1/messages/*/events", given):
            page.goto(f"{world.url}/messages/{world.hostile}")
            expect(page.get_by_role("alert")).to_contain_text(words)
    visit.to("/campaigns")
    with answering(page, "/v1/query", refusal(500, "INTERNAL_ERROR"), refusal(500, "INTERNAL_ERROR")):
        page.get_by_role("button", name="Refresh").click()
        expect(page.get_by_role("alert")).to_contain_text("Something went wrong.")
        expect(page.get_by_role("row", name=re.compile("June news"))).to_be_visible()  # what was there stays
    page.goto(world.url + "/campaigns/nothing")
    expect(page.get_by_role("alert")).to_contain_text("There is no such campaign.")
    page.goto(world.url + "/?from=2020-01-01&to=2020-01-02")
    expect(page.locator(".empty")).to_contain_text("Nothing happened in these days.")


def test_whoever_was_signed_out_is_asked_to_sign_in_again(world: World, visiting: Visiting) -> None:
    visit = visiting()
    # All that Refresh asks for is refused, and the last of it may be told of after the page is gone.
    visit.expected = r"status of 401 .* /v1/"
    page = visit.to("/campaigns?period=90d")
    assert page.evaluate("fetch('/session', {method: 'DELETE'}).then((answer) => answer.status)") == 204
    page.get_by_role("button", name="Refresh").click()
    expect(page).to_have_url(re.compile(r"/login\?next=%2Fcampaigns%3Fperiod%3D90d"))
    page.get_by_label("Password").wait_for()


def test_who_signs_out_leaves_once_whatever_is_refused_meanwhile(world: World, visiting: Visiting) -> None:
    visit = visiting()
    visit.expected = r"status of 401 .* /v1/"
    page = visit.to("/campaigns")
    held: list[Route] = []
    page.route("**/session", lambda route: held.append(route))
    with page.expect_request("**/session"):
        page.get_by_role("button", name="Sign out").click()
    assert page.context.request.delete(world.url + "/session").status == 204
    with page.expect_response("**/v1/query") as refused:
        page.get_by_role("button", name="Refresh").click()
    assert refused.value.status == 401
    expect(page.get_by_role("alert")).to_be_visible()
    assert urlsplit(page.url).path == "/campaigns"
    held[0].fulfill(status=204)
    expect(page).to_have_url(world.url + "/login")


def test_a_workspace_without_mail_is_told_how_to_begin(world: World, browser: Browser) -> None:
    command(world, "workspace", "create", "new", "--name", "New", "--timezone", "Asia/Kathmandu")
    key = command(world, "key", "create", "--workspace", "new", "--role", "member", "--scope", "analytics").split()[-1]
    context = browser.new_context(locale="en-GB")
    context.request.post(world.url + "/session", data={"api_key": key})
    visit = Visit(world.url, context.new_page())
    assert "/v1/messages" in visit.to("/").locator(".empty code").inner_text()
    assert "Asia/Kathmandu" in visit.page.locator(".title").inner_text()
    assert "/v1/campaigns/" in visit.to("/campaigns").locator(".empty code").inner_text()
    visit.was_quiet()
    context.close()


def command(world: World, *words: str) -> str:
    program = [str(Path(sys.executable).with_name("postmeter")), *words, "--data", str(world.product.data)]
    return subprocess.run(program, check=True, capture_output=True, text=True).stdout


def test_an_identity_provider_is_offered_and_what_became_of_it_is_told(world: World, browser: Browser) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    ways = {"data": {"oidc": {"label": MARKUP, "path": "/session/oidc"}}}
    page.route("**/session/ways", lambda route: route.fulfill(json=ways))
    page.goto(world.url + "/login?next=/campaigns/june#oidc=unknown")
    expect(page.get_by_role("alert")).to_contain_text("Nobody was invited")
    page.get_by_role("link", name=f"Sign in with {MARKUP}").click()
    # No provider is configured here, so the gateway sends the browser straight back.
    expect(page.get_by_role("alert")).to_contain_text("No provider is set up here.")
    # As if the provider had vouched for somebody: the callback leads to /, where they came from is not forgotten.
    context.request.post(world.url + "/session", data={"api_key": world.product.ready["api_key"]})
    page.goto(world.url + "/")
    expect(page.locator("h1")).to_have_text("June news")
    context.close()


def test_a_one_time_link_signs_in_by_a_button(world: World, browser: Browser) -> None:
    link = world.product.ready["dashboard"]
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(link)
    page.get_by_role("button", name="Sign in").wait_for()
    expect(page.locator("main")).to_contain_text("For admin@localhost")
    assert context.cookies() == []  # to look at the page is not to use the link
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("h1")).to_have_text("Overview")
    page.goto("about:blank")
    page.goto(link)
    expect(page.get_by_role("alert")).to_contain_text("does not work any more")
    expect(page.get_by_role("button")).to_have_count(0)
    context.close()


def told_live(world: World, page: Page, **event: Any) -> None:
    """Tells an event of the hostile message until the page shows one more than before.

    What is counted in the first second after somebody began to look may not be shown.
    """
    shown = page.locator(".live li, .live-head .plain:enabled")
    before = shown.count()

    def seen() -> bool:
        world.ask("POST", "/v1/events", {"events": [{"message_id": world.hostile} | event]})
        try:
            expect(shown).not_to_have_count(before, timeout=2000)
        except AssertionError:
            return False
        return True

    wait_for("an event on the page", seen)


def test_events_are_shown_as_they_are_counted(world: World, visiting: Visiting) -> None:
    page = visiting().to("/live")
    expect(page.locator(".live-head")).to_contain_text("New events come in.")
    told_live(world, page, type="opened", user_agent=MARKUP)
    told_live(world, page, type="opened", user_agent="ExampleScanner/1.0 (+https://scanner.example/bot)")
    told_live(world, page, type="bounced", bounce_type="soft", reason=MARKUP)
    rows = page.locator(".live li")
    expect(rows.filter(has_text="Bounced").first).to_contain_text(MARKUP)
    assert page.locator(FOREIGN).count() == 0
    page.evaluate(AXE)
    assert barriers_of(page, {"type": "tag", "values": RULES}) == []
    # The counters are those of a query, and say what came since one began to look.
    opens = page.locator(".counters li", has_text="Opens")
    total = counted(world)
    expect(opens.locator(".big")).to_have_text(str(total["human_opens"] + total["proxy_opens"]))
    # The filters stand in the address.
    page.locator(".controls.inner select").nth(1).select_option("machine")
    expect(page).to_have_url(re.compile("verdict=machine"))
    expect(rows.filter(has_text="Bounced")).to_have_count(0)
    expect(rows.first).to_contain_text("by a machine")
    page.locator(".controls.inner select").first.select_option("bounced")
    expect(page.locator(".live")).to_contain_text("Nothing of this kind")
    page.go_back()
    rows.first.get_by_role("link").click()
    expect(page).to_have_url(re.compile(f"/messages/{world.hostile}"))


def test_the_list_of_events_stands_still_when_it_is_told_to(world: World, visiting: Visiting) -> None:
    page = visiting(reduced_motion="reduce").to("/live")
    still = page.locator(".live-head")
    expect(still).to_contain_text("Paused")
    told_live(world, page, type="replied")
    expect(page.locator(".live li")).to_have_count(0)
    still.get_by_role("button", name=re.compile("Show .* new event")).click()
    expect(page.locator(".live li").first).to_contain_text("Replied to")
    still.get_by_role("button", name="Go on").click()
    expect(page).to_have_url(re.compile("pause=0"))
    shown = page.locator(".live li").count()
    told_live(world, page, type="complained")
    assert page.locator(".live li").count() > shown
    still.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Paused")).to_have_count(1)


def test_a_stream_that_is_cut_is_opened_again_where_it_ended(world: World, visiting: Visiting) -> None:
    visit = visiting()
    visit.expected = "Failed to load resource"
    asked: list[str | None] = []

    def cut(route: Route) -> None:
        asked.append(route.request.headers.get("last-event-id"))
        if len(asked) == 1:
            body = 'retry: 2000\n\n: alive\n\nid: 5-0\nevent: skipped\ndata: {"events": 12}\n\n'
            route.fulfill(status=200, body=body, content_type="text/event-stream")
        else:
            route.continue_()

    visit.page.route("**/v1/live?*", cut)
    page = visit.to("/live")
    expect(page.locator(".live li").last).to_contain_text("12 events of this moment are left out")
    expect(page.locator(".live-head")).to_contain_text("cut. It is opened again in 1 s")
    expect(page.locator(".live li", has_text="Events are missing here")).to_have_count(1)
    expect(page.locator(".live-head")).to_contain_text("New events come in.")
    assert asked == [None, "5-0"]
    page.unroute("**/v1/live?*")
    with answering(page, "/v1/live?*", refusal(403, "FORBIDDEN")):
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("You may not see this.")


def test_who_is_not_signed_in_comes_back_to_where_it_was(world: World, browser: Browser) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(world.url + "/campaigns/june?who=people")
    expect(page).to_have_url(re.compile("/login"))
    page.get_by_text("Sign in with an API key").click()
    page.get_by_label("API key").fill("pm_nothing")
    page.locator("details").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not known")
    page.get_by_label("API key").fill(world.product.ready["api_key"])
    page.locator("details").get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/campaigns/june\\?who=people"))
    expect(page.locator("h1")).to_have_text("June news")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login"))
    page.go_back()
    expect(page).to_have_url(re.compile("/login"))
    page.goto(world.url + "/login?next=//evil.example/")
    assert page.evaluate("location.host") == urlsplit(world.url).netloc
    context.close()

"""What stands on a screen is what the API says, and explains itself."""

import csv
import io
import re
import shlex
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests
from playwright.sync_api import Route, expect

from tests.acceptance.dashboard.readings import OPENS, counted, figure, number, percent
from tests.acceptance.dashboard_visits import Visiting
from tests.acceptance.told_history import CAMPAIGNS, ToldHistory

ARABIC = "\u0639\u0631\u0636 50 %"


@pytest.mark.parametrize("who", OPENS)
def test_the_overview_s_numbers_are_the_api_s(world: ToldHistory, visiting: Visiting, who: str) -> None:
    page = visiting().to(f"/?who={who}&period=90d")
    told = counted(world, **{"from": (world.now.date() - timedelta(days=365)).isoformat()})
    assert figure(page, "Delivered") == told["delivered"]
    assert figure(page, "Opens") == sum(told[metric] for metric in OPENS[who])
    assert figure(page, "Opened") == told["unique_opens"]
    assert figure(page, "Clicks") == told["clicks"] + (told["machine_clicks"] if who == "all" else 0)
    assert figure(page, "Clicked") == told["unique_clicks"]
    assert figure(page, "Bounced") == told["bounced"]


def test_a_curve_says_day_by_day_what_the_api_says(world: ToldHistory, visiting: Visiting) -> None:
    zone = "Pacific/Auckland"
    page = visiting().to(f"/?period=30d&zone={zone}&who=all")
    page.locator(".same summary").click()
    names = page.locator(".same thead th").all_inner_texts()
    shown = [
        list(map(number, row.locator("td.number").all_inner_texts())) for row in page.locator(".same tbody tr").all()
    ]
    today = datetime.now(ZoneInfo(zone)).date()
    body = {"metrics": list(OPENS["all"]), "resolution": "day", "timezone": zone}
    told = world.ask("POST", "/v1/query", body | {"from": (today - timedelta(days=29)).isoformat()})["data"]
    assert names == ["Time", "people", "with proxies", "with machines", "Campaigns sent"]
    assert shown == [[sum(row[metric] for metric in OPENS[who]) for who in OPENS] for row in told]


def test_the_switch_changes_everything_at_once_and_is_in_the_address(world: ToldHistory, visiting: Visiting) -> None:
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
def test_a_campaign_s_numbers_are_those_of_another_api(world: ToldHistory, visiting: Visiting, campaign: str) -> None:
    page = visiting().to(f"/campaigns/{campaign}")
    expect(page.get_by_role("link", name="Campaigns", exact=True)).to_have_attribute("aria-current", "true")
    workspace = world.product.ready["workspace"]
    answer = world.ask("GET", f"/api/v1/workspaces/{workspace}/campaigns/{campaign}/analytics?timeRange=90d")
    told = answer["data"]["summary"]
    names = {"Sent": "sent", "Delivered": "delivered", "Opened": "opened", "Clicked": "clicked", "Bounced": "bounced"}
    for name, field in names.items():
        assert figure(page, name) == told[f"emails_{field}"], name
    assert figure(page, "Unsubscribes") == told["unsubscribes"]
    curve = page.get_by_role("region", name="Opened since sending")
    expect(curve.locator(".same tbody tr")).to_have_count(72)  # hours of three days
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
def test_who_is_listed_page_by_page(world: ToldHistory, visiting: Visiting, engagement: str) -> None:
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


def test_explore_answers_what_the_address_asks(world: ToldHistory, visiting: Visiting) -> None:
    page = visiting().to("/explore?metric=sent&metric=unique_opens&by=mailbox_provider")
    body = {"metrics": ["sent", "unique_opens"], "dimensions": ["mailbox_provider"], "order_by": "-sent"}
    told = sorted((row["sent"], row["unique_opens"]) for row in world.ask("POST", "/v1/query", body)["data"])
    rows = page.locator("main tbody tr").all()
    assert sorted(tuple(map(number, row.locator("td").all_inner_texts())) for row in rows) == told
    page.get_by_label("In what steps").select_option("day")
    expect(page).to_have_url(re.compile("per=day"))
    expect(page.locator(".multiples section")).to_have_count(len(told))
    expect(page.locator("main")).to_contain_text("Drawn is Sent; the others are in the CSV file.")
    page = visiting().to("/explore?metric=complained&metric=delivered")  # with what it is a part of, its share
    whole = counted(world)
    share = percent(whole["complained"], whole["delivered"], 2)
    expect(page.locator("main tbody td").first).to_have_text(f"{whole['complained']} {share}")
    # More rows than the API has on a page; all that was told lies in the last of them.
    page = visiting().to("/explore?metric=sent&by=campaign&per=hour&period=90d")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV: Sent").click()
    hours = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert len(hours) > 10_000
    assert sum(int(row["sent"]) for row in hours) == counted(world)["sent"]


def test_who_comes_back_is_where_the_list_was_left(world: ToldHistory, visiting: Visiting) -> None:
    visit = visiting(viewport={"width": 900, "height": 300})
    page = visit.to("/campaigns")
    last = page.locator("main tbody th a").last
    last.scroll_into_view_if_needed()
    left = page.evaluate("scrollY")
    assert left > 0
    last.click()
    page.locator(".sentence").wait_for()
    assert page.evaluate("scrollY") == 0
    page.go_back()
    for again in (lambda: None, page.reload):
        again()
        last.wait_for()
        page.wait_for_function("left => Math.abs(scrollY - left) < 2", arg=left)


def test_days_to_come_are_left_out(world: ToldHistory, visiting: Visiting) -> None:
    today = datetime.now(ZoneInfo("UTC")).date()
    first, last = today - timedelta(days=6), today + timedelta(days=30)
    page = visiting().to(f"/?from={first}&to={last}&zone=UTC")
    # As many days before as there were.
    expect(page.locator(".title")).to_contain_text(f"\u2013 {today.day} {today:%b}")
    expect(page.locator(".same tbody tr")).to_have_count(7)
    expect(page.locator("input[name=to]")).to_have_attribute("max", today.isoformat())


@pytest.mark.parametrize("who", OPENS)
def test_explore_follows_the_switch(world: ToldHistory, visiting: Visiting, who: str) -> None:
    page = visiting().to(f"/explore?metric=opens&who={who}")
    told = counted(world)
    shown = number(page.locator("main tbody td").inner_text())
    assert shown == sum(told[metric] for metric in OPENS[who])


def test_days_follow_the_zone_that_is_chosen(world: ToldHistory, visiting: Visiting) -> None:
    visit = visiting()
    page = visit.to("/?period=today&zone=Etc/GMT%2B12")
    page.locator("summary", has_text="Time zone").click()
    page.locator(".dropped select").select_option("Pacific/Kiritimati")
    page.get_by_role("button", name="Show", exact=True).click()  # a key in a list is not yet a choice
    expect(page).to_have_url(re.compile("zone=Pacific%2FKiritimati"))
    today = datetime.now(ZoneInfo("Pacific/Kiritimati"))
    expect(page.locator(".title")).to_contain_text(f"{today.day} {today:%b}")
    expect(page.locator(".dropped select")).to_have_count(0)
    expect(page.locator("summary", has_text="Time zone")).to_be_focused()


def test_a_filter_that_is_added_narrows_everything(world: ToldHistory, visiting: Visiting) -> None:
    visit = visiting()
    page = visit.to("/?period=90d")
    page.locator("summary", has_text="Filter").click()
    page.locator(".filters .dropped select").select_option("mailbox_provider")
    page.locator("#filter-values option[value=gmail]").wait_for(state="attached")
    page.get_by_label("Value, exactly").fill("Gmail")  # as it is called, not as the API calls it
    page.get_by_role("button", name="Add").click()
    expect(page).to_have_url(re.compile("mailbox_provider=gmail"))
    told = counted(world, filters={"mailbox_provider": ["gmail"]})
    expect(page.locator(".figures .big button").first).to_have_text(str(told["delivered"]))
    for words in ("Fewer than 200 messages were sent", "It takes two campaigns"):  # nothing is judged by so few
        expect(page.locator("main")).to_contain_text(words)
    page.get_by_role("link", name=re.compile("Take away the filter Mailbox provider: Gmail")).click()
    expect(page.locator("summary", has_text="Filter")).to_be_focused()  # the link is gone
    expect(page.locator(".figures .big button").first).to_have_text(str(counted(world)["delivered"]))
    page = visit.to("/?who=people&campaign=" + quote(ARABIC))
    # Numbers beside it stay where they are.
    chosen = page.get_by_role("link", name=f"Take away the filter Campaign: \u2068{ARABIC}\u2069")
    page.emulate_media(media="print")  # where a number means nothing without what it counts
    for link, is_printed in ((chosen, True), (page.get_by_role("link", name="People", exact=True), True)):
        expect(link).to_be_visible(visible=is_printed)
    expect(page.get_by_role("link", name="90 days")).to_be_hidden()


def test_a_number_explains_itself_with_its_messages_and_its_command(world: ToldHistory, visiting: Visiting) -> None:
    visit = visiting()
    page = visit.to("/?period=90d")
    page.get_by_role("button", name=re.compile(", Opened: explain")).first.click()
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
    page.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    expect(page).not_to_have_url(re.compile("explain"))
    assert not page.evaluate("history.state?.unfolded")  # no step is left of it
    other.get_by_role("dialog").locator("tbody th a").first.click()
    expect(other).to_have_url(re.compile("/messages/"))
    expect(other.locator(".life li").first).to_be_visible()
    gmail = counted(world, filters={"mailbox_provider": ["gmail"]})
    formula = visiting().to("/?period=90d&explain=opened.gmail").get_by_role("dialog").locator(".formula")
    expect(formula).to_contain_text(f"{gmail['unique_opens']} ÷ {gmail['delivered']}")
    day = (world.now.date() - timedelta(days=2)).isoformat()  # of opens of mail from the day before
    page = visiting().to(f"/?from={day}&to={day}&zone=UTC&explain=opened")
    beyond = page.get_by_role("dialog")
    expect(beyond).to_contain_text("may be of messages from before them")
    expect(beyond.locator(".formula b")).to_have_text("\u2013")  # and not some hundred percent
    opened = page.locator(".figures > li", has_text="messages opened")
    expect(opened).to_contain_text("no rate: of older mail, too")
    expect(page.locator("main")).to_contain_text("Rates are of what was delivered in these days")


def test_a_campaign_sent_before_the_days_says_so(world: ToldHistory, visiting: Visiting) -> None:
    day = (world.now.date() - timedelta(days=2)).isoformat()
    page = visiting().to(f"/campaigns?from={day}&to={day}&zone=UTC")
    june = page.get_by_role("row", name=re.compile("June news"))
    expect(june).to_contain_text("Sent before these days")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr", has_text="Sent before these days")).to_have_count(1)
    expect(page.locator("thead")).to_contain_text("Opened of delivered")
    page = visiting().to("/campaigns?period=30d&zone=UTC")
    expect(page.locator("tbody tr", has_text="Sent before these days")).to_have_count(0)


def test_campaigns_are_sorted_by_what_can_be_held_against_each_other(world: ToldHistory, visiting: Visiting) -> None:
    """Amounts of several currencies cannot, and more opens than mail that was delivered do not make a rate."""
    page = visiting().page
    bought = [("may", "JPY", 1, 500), ("may", "EUR", 2, 300.5), ("march", "EUR", 4, 100), ("april", "JPY", 3, 9000)]

    def told(route: Route) -> None:
        body = route.request.post_data or ""
        answer = route.fetch().json()
        if "conversions" in body:
            names = ("campaign", "currency", "conversions", "revenue")
            answer["data"] = [dict(zip(names, row, strict=True)) for row in bought]
        for row in answer["data"]:
            if row.get("campaign") == "march":
                row |= {"unique_opens": 900, "delivered": 9}
        route.fulfill(json=answer)

    page.route("**/v1/query", told)
    page.goto(f"{world.url}/campaigns?period=90d&sort=-revenue")
    expect(page.get_by_role("columnheader", name="Revenue sorted by EUR")).to_be_visible()
    rows = page.locator("main tbody tr")
    expect(rows.nth(0)).to_contain_text("\u20ac300.50, \u00a5500")
    expect(rows.nth(1)).to_contain_text("March news")
    page.get_by_role("columnheader", name="Opened of delivered").get_by_role("link").click()
    expect(rows.last).to_contain_text("March news")
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("^CSV")).click()
    shares = {
        row["campaign"]: row["opened_percent"] for row in csv.DictReader(download.value.path().read_text().splitlines())
    }
    assert shares["march"] == ""
    assert shares["june"]


def test_a_message_s_life_is_told_with_verdicts_and_reasons(world: ToldHistory, visiting: Visiting) -> None:
    page = visiting().to(f"/messages/{world.scanned}")
    told = world.ask("GET", f"/v1/messages/{world.scanned}/events")["data"]["events"]
    assert page.locator(".life li").count() == len(told) + 1
    machine = page.locator(".life li", has_text="by a machine: not counted as an open")
    expect(machine).to_contain_text("says that it is a robot")
    assert sum(event["verdict"] == "machine" for event in told) == machine.count() == 1

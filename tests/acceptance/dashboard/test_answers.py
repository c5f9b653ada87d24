"""Answers that come late, not at all or as a refusal."""

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Route, expect

from tests.acceptance.dashboard.answers import answering, comes_late, held_back, refusal
from tests.acceptance.dashboard.readings import counted
from tests.acceptance.dashboard_visits import Visiting
from tests.acceptance.told_history import ToldHistory


def test_an_older_answer_that_comes_later_replaces_nothing(world: ToldHistory, visiting: Visiting) -> None:
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


def test_changes_stay_while_they_are_asked_for_again(visiting: Visiting) -> None:
    """The days before end a minute later then, so that it is another question, about the same days."""
    visit = visiting()
    visit.page.clock.set_fixed_time(datetime.now(UTC) - timedelta(minutes=2))
    page = visit.to("/?period=7d")
    page.clock.set_fixed_time(datetime.now(UTC))
    with held_back(page, "**/v1/query", lambda body: '"to":' in body):
        with page.expect_request(lambda request: '"to":' in (request.post_data or "")):
            page.get_by_role("button", name="Refresh").click()
        assert "against" in page.locator(".figures").first.inner_text()


def test_what_is_not_there_is_not_nothing(world: ToldHistory, visiting: Visiting) -> None:
    visit = visiting()
    visit.expected = "Failed to load resource"
    page = visit.page

    def refused(route: Route) -> None:
        if "dimensions" in (route.request.post_data or ""):
            route.fulfill(**refusal(500, "INTERNAL_ERROR"))
        else:
            route.continue_()

    page.route("**/v1/query", refused)
    visit.to("/?period=90d")
    attention = page.get_by_role("region", name="What needs attention")
    expect(attention.get_by_role("alert")).to_contain_text("Something went wrong.")
    expect(attention).not_to_contain_text("within their limits")
    expect(page.get_by_role("region", name="By mailbox provider").get_by_role("alert")).to_be_visible()
    revenue = page.locator(".figures li", has=page.get_by_role("heading", name="Revenue"))
    expect(revenue.locator(".big")).to_have_text("\u2013")
    page.unroute("**/v1/query")
    attention.get_by_role("button", name="Refresh").click()
    expect(attention.get_by_role("alert")).to_have_count(0)
    expect(revenue.locator(".big")).to_have_text("0")
    # Whether there was ever any mail is not known either.
    page.route("**/v1/campaigns?*", lambda route: route.fulfill(**refusal(500, "INTERNAL_ERROR")))
    visit.to("/?from=2020-01-01&to=2020-01-02")
    expect(page.locator("main")).not_to_contain_text("Nothing has been sent yet.")
    page.unroute("**/v1/campaigns?*")
    page.get_by_role("alert").get_by_role("button", name="Refresh").click()
    expect(page.locator(".empty")).to_contain_text("Nothing happened in these days.")


def test_what_goes_wrong_says_what_to_do(world: ToldHistory, visiting: Visiting) -> None:
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
    visit.settled()
    with answering(page, "/v1/campaigns?limit=1000", refusal(500, "INTERNAL_ERROR")):
        page.goto(world.url + "/campaigns/june")
        page.get_by_role("alert").get_by_role("button", name="Refresh").click()
        expect(page.locator("h1")).to_have_text("June news")
    with answering(page, "/v1/messages/search", refusal(500, "INTERNAL_ERROR")):
        visit.settled()
        page.get_by_role("button", name="CSV: Who").click()
        expect(page.get_by_role("region", name="Who").get_by_role("alert")).to_contain_text("Something went wrong.")
    page.goto(world.url + "/campaigns/nothing")
    expect(page.get_by_role("alert")).to_contain_text("There is no such campaign.")
    page.goto(world.url + "/?from=2020-01-01&to=2020-01-02")
    expect(page.locator(".empty")).to_contain_text("Nothing happened in these days.")

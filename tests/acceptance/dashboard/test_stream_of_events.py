"""Events as they are counted, on the screen Live."""

import re
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.acceptance.dashboard.answers import answering, refusal
from tests.acceptance.dashboard.readings import counted
from tests.acceptance.dashboard_visits import AXE, FOREIGN, RULES, Visiting, barriers_of
from tests.acceptance.told_history import MARKUP, ToldHistory
from tests.product import wait_for


def told_live(world: ToldHistory, page: Page, **event: Any) -> None:
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


def test_events_are_shown_as_they_are_counted(world: ToldHistory, visiting: Visiting) -> None:
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


def test_the_list_of_events_stands_still_when_it_is_told_to(world: ToldHistory, visiting: Visiting) -> None:
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


def test_a_stream_that_is_cut_is_opened_again_where_it_ended(world: ToldHistory, visiting: Visiting) -> None:
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

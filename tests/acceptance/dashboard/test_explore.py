"""The way from a row of Explore to what it is made of, and back."""

import re

from playwright.sync_api import expect

from tests.acceptance.dashboard.answers import refusal
from tests.acceptance.dashboard.readings import counted, figure, number
from tests.acceptance.dashboard_visits import Visiting
from tests.acceptance.told_history import HOSTILE, ToldHistory

QUESTION = "/explore?metric=unique_opens&metric=delivered&by=mailbox_provider&period=90d"


def test_a_number_of_a_row_explains_itself(world: ToldHistory, visiting: Visiting) -> None:
    page = visiting().to(QUESTION)
    told = counted(world, filters={"mailbox_provider": ["gmail"]})
    row = page.get_by_role("row", name=re.compile("Gmail"))
    assert figure(row, "Opened") == told["unique_opens"]
    row.get_by_role("button", name=re.compile(", Opened: explain")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".formula")).to_contain_text(f"{told['unique_opens']} ÷ {told['delivered']}")
    expect(dialog.locator(".split").first).to_contain_text(f"People {told['human_opens']}")
    expect(dialog).to_contain_text("Mailbox provider: Gmail")
    expect(page).to_have_url(re.compile("explain=opened.gmail"))
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(row.get_by_role("button", name=re.compile(", Opened: explain"))).to_be_focused()
    # What is counted by link has no messages that could be searched for.
    page = visiting().to("/explore?metric=clicks&by=link&period=90d")
    expect(page.locator("main tbody tr").first).to_be_visible()
    expect(page.locator("main tbody").get_by_role("button")).to_have_count(0)


def test_a_row_leads_to_what_is_of_it_alone(world: ToldHistory, visiting: Visiting) -> None:
    page = visiting().to(QUESTION)
    page.locator("main tbody").get_by_role("link", name="Gmail").click()
    expect(page.locator("#main")).to_be_focused()  # the row is gone
    told = counted(world, filters={"mailbox_provider": ["gmail"]})
    cells = page.locator("main tbody td")
    expect(cells.last).to_have_text(str(told["delivered"]))
    assert number(cells.first.locator("button").inner_text()) == told["unique_opens"]
    page.get_by_label("By what").select_option("template")
    expect(page.locator("main tbody th a")).to_have_text(["news", HOSTILE])
    page.locator("main tbody th a").first.click()
    expect(page.get_by_role("link", name=re.compile("Take away the filter"))).to_have_count(2)
    page.go_back()
    page.go_back()
    page.go_back()
    expect(page.locator("main tbody tr")).to_have_count(4)


def test_an_explanation_that_cannot_be_had_says_so(visiting: Visiting) -> None:
    visit = visiting()
    visit.expected = "Failed to load resource"
    page = visit.to(QUESTION)
    page.route("**/v1/query", lambda route: route.fulfill(**refusal(504, "TIMEOUT")))
    page.locator("main tbody .figure").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("This question takes too long.")
    page.unroute("**/v1/query")
    page.get_by_role("dialog").get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("dialog").locator(".formula")).to_be_visible()

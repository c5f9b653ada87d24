"""The dashboard's Privacy page, and what a campaign says of its levels, in a real Chromium."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.acceptance.dashboard_visits import AXE, FOREIGN, RULES, Visit, barriers_of
from tests.acceptance.told_history import MARKUP, PEOPLE
from tests.product import PATIENCE, Product, running, wait_for

PRIVACY = "/settings/privacy"
ADA = "Ada@Mail.example"
PROTRUDING = """[...document.querySelectorAll("main *")].filter((one) => {
    const box = one.getBoundingClientRect();
    const scrolls = (part) => ["auto", "scroll"].includes(getComputedStyle(part).overflowX);
    const isWithin = (part) => part && (scrolls(part) || isWithin(part.parentElement));
    return box.width > 1 && (box.right > innerWidth + 1 || box.left < -1) && !isWithin(one.parentElement);
}).map((one) => `${one.tagName}.${one.className}: ${one.textContent.slice(0, 40)}`)"""
"""What stands out of the page and cannot be scrolled to within it."""
CHOICE = {"to": ADA, "opens": "granted", "clicks": "denied", "method": MARKUP[:90], "text_version": "2026-07"}


class PrivacyVisits:
    """A product, and pages of people with different rights."""

    def __init__(self, product: Product, browser: Browser) -> None:
        self.url: str = product.ready["gateway"]
        self.product = product
        self._browser = browser
        self._open: list[tuple[BrowserContext, Visit]] = []

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, self.url + path, json=body, headers=self.product.headers, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    def page(self, path: str, key: str | None = None) -> Page:
        context = self._browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
        given = {"api_key": key or self.product.ready["api_key"]}
        assert context.request.post(self.url + "/session", data=given).status == 204
        visit = Visit(self.url, context.new_page())
        self._open.append((context, visit))
        return visit.to(path)

    def registered(self, campaign: str, to: str, **tracking: str) -> dict[str, Any]:
        """A message of a campaign that was sent and delivered."""
        body = {"campaign_id": campaign, "from_address": "news@shop.example", "to": to, "subject": "Sale"}
        told = self.ask("POST", "/v1/messages", body | ({"tracking": tracking} if tracking else {}))["data"]
        events = [{"type": kind, "message_id": told["id"]} for kind in ("sent", "delivered")]
        assert self.ask("POST", "/v1/events", {"events": events})["rejected"] == []
        return dict(told)

    def close(self) -> None:
        for context, visit in self._open:
            context.close()
            # A refusal is a line in the browser's own console; it is what these tests provoke.
            visit.expected = "Failed to load resource"
            visit.was_quiet()


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("privacy")) as product:
        yield product


@pytest.fixture
def office(product: Product, browser: Browser) -> Iterator[PrivacyVisits]:
    made = PrivacyVisits(product, browser)
    yield made
    made.close()


def setting(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth === innerWidth") and not page.evaluate(PROTRUDING))


def nothing_is_in_the_way(page: Page) -> None:
    page.evaluate(AXE)
    assert barriers_of(page, {"type": "tag", "values": RULES}) == []
    for width in (2560, 1280, 360):
        page.set_viewport_size({"width": width, "height": 740})
        wait_for(f"all to fit into {width} pixels", lambda: fits(page))  # charts are drawn anew
    assert barriers_of(page, {"type": "rule", "values": ["color-contrast"]}) == []
    page.emulate_media(color_scheme="dark")
    assert barriers_of(page, {"type": "rule", "values": ["color-contrast"]}) == []
    assert page.locator(FOREIGN).count() == 0
    words = page.locator("main").inner_text().split()
    assert [word for word in words if re.match(r"(level|levels|seen|audit|recipient|settings)\.\w", word)] == []


def test_a_campaign_says_what_it_may_see(office: PrivacyVisits) -> None:
    for n in range(2):
        office.registered("mixed", f"seen-{n}@mail.example")
    hidden = [office.registered("mixed", f"hidden-{n}@mail.example", opens="anonymous") for n in range(3)]
    assert len({one["open_url"] for one in hidden}) == 1
    for _ in range(4):
        assert requests.get(hidden[0]["open_url"], headers={"User-Agent": PEOPLE}, timeout=60).ok
    ask = {"metrics": ["anonymous_opens", "trackable"], "filters": {"campaign": ["mixed"]}}
    told = {"anonymous_opens": 4, "trackable": 2}
    wait_for("the numbers", lambda: office.ask("POST", "/v1/query", ask)["data"][0] == told)
    office.registered("open", "seen@mail.example")
    whole = {"metrics": ["delivered"], "filters": {"campaign": ["open"]}}
    wait_for("the other", lambda: office.ask("POST", "/v1/query", whole)["data"][0]["delivered"] == 1)
    page = office.page("/campaigns/mixed")
    beside = page.get_by_role("note")
    expect(beside).to_contain_text("The opens of 2 of 5 delivered messages can be seen one by one.")
    expect(beside).to_contain_text("4 of 4 opens and 0 of 0 clicks are anonymous")
    why = setting(page, "What may be seen here, and why")
    expect(why.locator("dd").first).to_have_text("opens: Full, clicks: Full")
    nothing_is_in_the_way(page)
    words = {"Overview": "/", "Campaigns": "/campaigns", "Compare": "/compare?campaign=mixed&campaign=open"}
    for title, path in words.items():
        page = office.page(path)
        expect(page.locator("h1")).to_have_text(title)
        beside = page.get_by_role("note")
        expect(beside).to_have_count(1)
        of = "2 of 5" if title == "Compare" else "3 of 6"
        expect(beside).to_contain_text(f"The opens of {of} delivered messages can be seen one by one.")
        expect(beside).to_contain_text("“Opened” counts these alone: 0.0 % of them.")
        expect(beside).to_contain_text("4 of 4 opens and 0 of 0 clicks are anonymous")
        if title == "Campaigns":
            expect(page.locator("tbody tr").filter(has_text="mixed")).to_contain_text("40.0 % can be seen")
            expect(page.locator("tbody tr").filter(has_text="open")).not_to_contain_text("can be seen")
        if title == "Compare":
            expect(beside).to_contain_text("mixed")
            expect(page.get_by_text("so their open rates do not tell which was opened more")).to_be_visible()
        nothing_is_in_the_way(page)
    page.evaluate("localStorage.setItem('postmeter-language', 'de')")
    page.reload()
    expect(page.get_by_role("note")).to_contain_text("„Geöffnet“ zählt nur diese")
    reader = office.ask("POST", "/v1/keys", {"role": "member", "scopes": ["analytics"]})["data"]["key"]
    page = office.page("/campaigns/mixed", reader)
    expect(setting(page, "What may be seen here, and why")).to_contain_text("Administrators see which.")
    page.goto(office.url + "/campaigns/open")
    expect(page.locator(".sentence")).to_contain_text("1 delivered")
    assert page.get_by_role("note").count() == 0
    # Nor may this reader see the page, which says why.
    page.goto(office.url + PRIVACY)
    expect(page.get_by_role("alert")).to_contain_text("It takes the role admin and the right privacy")
    assert page.locator("main section").count() == 0


def test_levels_domains_and_retention_are_set(office: PrivacyVisits) -> None:
    page = office.page("/settings")
    page.get_by_role("link", name="Privacy").click()
    levels = setting(page, "Levels")
    expect(levels).to_contain_text("delivered messages, the opens of")
    refused = levels.get_by_role("group", name="Of recipients who refused").get_by_label("Opens")
    assert refused.locator("option").all_inner_texts() == ["Off", "Anonymous"]
    unknown = levels.get_by_role("group", name="Of recipients who have not chosen")
    assert "Last date" not in unknown.get_by_label("Clicks").locator("option").all_inner_texts()
    expect(unknown).to_contain_text("Acts on mail and choices from now on. Mail that is out keeps its level")
    unknown.get_by_label("Opens").select_option("Last date")
    levels.get_by_role("button", name="Save").click()
    expect(levels.locator(".said")).to_have_text("Saved. It holds within seconds.")
    expect(levels.locator(".said")).to_be_focused()
    assert office.ask("GET", "/v1/privacy")["unknown"] == {"opens": "last_date", "clicks": "full"}
    domains = setting(page, "Levels of domains")
    domains.locator("summary").click()
    domains.get_by_label("Sending domain").fill("not a domain!")
    domains.get_by_role("button", name="Save").click()
    expect(domains.get_by_label("Sending domain")).to_be_focused()
    domains.get_by_label("Sending domain").fill("news.example")
    domains.get_by_label("Clicks").select_option("Off")
    domains.get_by_role("button", name="Save").click()
    expect(domains.locator("li")).to_contain_text("Opens: Anonymous · Clicks: Off")
    assert office.ask("GET", "/v1/privacy")["domains"] == {"news.example": {"opens": "anonymous", "clicks": "off"}}
    nothing_is_in_the_way(page)
    domains.get_by_role("button", name="Remove: news.example").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(domains.locator("li")).to_have_count(0)
    assert office.ask("GET", "/v1/privacy")["domains"] == {}
    kept = setting(page, "Retention")
    kept.get_by_label("History, months").fill("many")
    kept.get_by_role("button", name="Save").click()
    expect(kept.get_by_label("History, months")).to_be_focused()
    expect(kept.get_by_label("History, months")).to_have_accessible_description(re.compile("Months as a whole number"))
    kept.get_by_label("History, months").fill("13")
    kept.get_by_role("button", name="Save").click()
    expect(kept.locator(".said")).to_have_text("Saved.")
    assert office.ask("GET", "/v1/privacy")["retention"]["history_months"] == 13


def test_a_recipient_is_looked_up_and_erased_and_the_log_tells_who_did_it(office: PrivacyVisits) -> None:
    office.registered("private", ADA)
    assert office.ask("PUT", "/v1/recipients/consent", CHOICE)["rejected"] == []
    kept = {"to": ADA}

    def chosen() -> Any:
        return office.ask("POST", "/v1/recipients/export", kept)["data"]

    wait_for("the choice and the message", lambda: chosen()["consent"]["history"] and chosen()["messages"])
    page = office.page(PRIVACY)
    place = setting(page, "One recipient")
    place.get_by_label("Address, or its hash").fill(ADA)
    place.get_by_role("button", name="Show").click()
    found = place.get_by_role("group", name="What was found")
    expect(found).to_contain_text("Now: opens allowed, clicks refused.")
    expect(found.locator("tbody tr")).to_contain_text(MARKUP[:90])
    to_hash = found.locator(".item").inner_text()
    assert to_hash == chosen()["to_hash"]
    with page.expect_download() as download:
        found.get_by_role("button", name="File with all that is kept").click()
    assert json.loads(download.value.path().read_text())["messages"][0]["subject"] == "Sale"
    nothing_is_in_the_way(page)
    # By its hash it is looked up without an entry in the log.
    place.get_by_label("Address, or its hash").fill(to_hash.upper())
    place.get_by_role("button", name="Show").click()
    expect(found).to_contain_text("Now: opens allowed, clicks refused.")
    found.get_by_role("button", name="Erase").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It cannot be undone. A refusal is erased, too")
    dialog.get_by_role("button", name="Leave it as it is").click()
    assert chosen()["consent"]["history"]
    found.get_by_role("button", name="Erase").click()
    dialog.get_by_role("button", name="Erase").click()
    expect(place).to_contain_text("Ordered.")
    assert ADA.lower() not in page.url.lower()
    assert to_hash not in page.url
    erasures = setting(page, "Erasures")
    expect(erasures.locator(".lead")).to_contain_text("At work.")
    expect(erasures.locator("dl")).to_contain_text("proofs of choices", timeout=PATIENCE * 1000)
    id_ = erasures.locator("code").inner_text()
    told = office.ask("GET", f"/v1/recipients/erasures/{id_}")["data"]["removed"]
    assert told["consent"] == 1
    assert chosen()["consent"]["history"] == []
    page.reload()
    expect(erasures.locator("code")).to_have_text(id_)
    log = setting(page, "Audit log")
    expect(log.locator("tbody tr").filter(has_text="Recipient erased")).to_contain_text("key:")
    expect(log.locator("tbody tr").filter(has_text="Recipient exported").first).to_be_visible()
    assert ADA.lower() not in page.content().lower()
    nothing_is_in_the_way(page)

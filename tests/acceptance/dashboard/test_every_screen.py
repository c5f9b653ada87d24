"""What holds of every screen: nothing stands in anybody's way, and all is light, translated and text."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.dashboard.readings import screens
from tests.acceptance.dashboard_visits import (
    AXE,
    FOREIGN,
    RULES,
    Visit,
    Visiting,
    barriers_of,
    signed_in,
    until_focused,
)
from tests.acceptance.told_history import MARKUP, ToldHistory

TEXTS = Path(__file__).parents[3] / "gateway/postmeter/gateway/site/dashboard/texts"
ONE_SCREEN = 108_000
"""Bytes that a screen may take before data, for a browser that has none of them."""
ALL_SCREENS = 180_000
"""Bytes that all screens together may take."""
SCRIPTS = ("/main.js", "/uPlot.iife.min.js")


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
def tour(world: ToldHistory, browser: Browser) -> dict[str, Seen]:
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


def test_nothing_stands_in_anybody_s_way(tour: dict[str, Seen]) -> None:
    found = {name: seen.barriers for name, seen in tour.items()}
    assert found == {name: [] for name in tour}


def test_a_telephone_need_not_scroll_sideways(tour: dict[str, Seen]) -> None:
    assert {name: seen.width for name, seen in tour.items()} == dict.fromkeys(tour, 360)
    assert re.search(r"\d+ delivered", tour["campaigns"].text)  # what its rates are of


def test_no_text_is_missing_from_a_screen(tour: dict[str, Seen]) -> None:
    keys = json.loads((TEXTS / "en.json").read_text()).keys()
    beginnings = tuple({key.partition(".")[0] + "." for key in keys})
    for name, seen in tour.items():
        words = (word.strip(".,") for word in seen.text.split())
        keys_shown = [word for word in words if word.startswith(beginnings)]
        assert keys_shown == [], name


def test_all_of_it_works_by_the_keyboard(world: ToldHistory, visiting: Visiting) -> None:
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
    assert [name for name, seen in tour.items() if seen.title == "stolen"] == []
    assert tour["hostile campaign"].title == f"{MARKUP} · Postmeter"
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
    data = re.compile(r"/v1/|/sessions?$")
    page = max(size for url, size in sizes.items() if "/dashboard/" not in url and not data.search(url))
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


def test_every_language_says_everything(world: ToldHistory, visiting: Visiting) -> None:
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


def test_a_list_says_whose_opens_it_is_of(world: ToldHistory, tour: dict[str, Seen]) -> None:
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

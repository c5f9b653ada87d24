"""Visits of the dashboard by a real Chromium: pages that notice what a person would, and what only machines notice."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.browser import PATIENCE
from tests.product import Product

AXE = (Path(__file__).parents[1] / "axe-core" / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
FOREIGN = "body img, body iframe, body object, #page script"
"""What no screen has of its own."""


class Visit:
    """A page of a browser of its own, and all that it complained of and asked for."""

    def __init__(self, url: str, page: Page) -> None:
        self.url, self.page = url, page
        self.complaints: list[str] = []
        self.expected: str | None = None
        """A pattern of what the browser itself says, whenever, of answers that are not what one hopes for."""
        self.asked: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def _heard(self, said: ConsoleMessage) -> None:
        if said.type != "log":
            self.complaints.append(f"{said.text} {urlsplit(said.location['url']).path}")

    def to(self, path: str) -> Page:
        """The page at a path, once nothing is loading there any more."""
        self.page.goto(self.url + path)
        self.page.locator("main h1").wait_for()
        self.settled()
        return self.page

    def was_quiet(self) -> None:
        """Nothing was complained of but what was expected, and nobody else asked."""
        assert [said for said in self.complaints if not self.expected or not re.search(self.expected, said)] == []
        hosts = {urlsplit(url).netloc for url in self.asked if not url.startswith("blob:")}
        assert hosts <= {urlsplit(self.url).netloc}

    def settled(self) -> None:
        expect(self.page.locator(".loading")).to_have_count(0)
        expect(self.page.locator("[aria-busy=true]")).to_have_count(0)


def signed_in(product: Product, browser: Browser, **options: Any) -> BrowserContext:
    context = browser.new_context(**({"locale": "en-GB", "viewport": {"width": 1280, "height": 800}} | options))
    answer = context.request.post(product.ready["gateway"] + "/session", data={"api_key": product.ready["api_key"]})
    assert answer.status == 204, answer.text()
    return context


def barriers_of(page: Page, rules: dict[str, Any]) -> list[Any]:
    run = page.evaluate("rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", rules)
    assert run["passes"]
    return [
        (one["id"], [(node["target"], node["failureSummary"]) for node in one["nodes"][:3]])
        for one in run["violations"]
    ]


def until_focused(page: Page, selector: str) -> None:
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab never comes to {selector}")


Visiting = Callable[..., Visit]

"""The dashboard's modules in a real browser, one by one, without a gateway that answers them."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route

from postmeter.gateway.pages import dashboard
from tests import browser as chromium

SITE = "http://dashboard.example"
Evaluate = Callable[[str, str, Any], Any]
"""A module's path, an expression of its exports as `m` and of the argument as `given`, the argument."""


@contextmanager
def dashboard_page() -> Iterator[Page]:
    """The page, its files as the gateway has them, and nothing else that answers."""
    files = dashboard.pages()

    def answer(route: Route) -> None:
        file = files.get(urlsplit(route.request.url).path)
        if file is None:
            route.fulfill(status=503, json={})
        else:
            headers = {"Content-Type": file.media, "Content-Security-Policy": file.policy}
            route.fulfill(body=file.plain, headers=headers)

    with chromium.running() as browser:
        page = browser.new_page(locale="en-GB")
        page.route(SITE + "/**", answer)
        page.goto(SITE + "/login")
        yield page


def evaluator(page: Page) -> Evaluate:
    """What evaluates an expression of a module in the page."""
    assets = re.search(r'src="(/dashboard/[0-9a-f]+)/main.js"', page.content())
    assert assets
    base = assets[1]

    def run(module: str, expression: str, given: Any) -> Any:
        script = f"async given => {{ const m = await import({json.dumps(f'{base}/{module}')}); {expression} }}"
        return page.evaluate(script, given)

    return run

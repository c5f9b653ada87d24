"""Visits of the dashboard's Settings: who may come, and what is found there."""

from typing import Any

import requests
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.acceptance.dashboard_visits import Visit
from tests.product import Product

PASSWORD = "a password of the tests"
ALL = ("analytics", "track", "mail:read", "access")


class SettingsVisits:
    """A product, what is set up in it, and pages of people with different rights."""

    def __init__(self, product: Product, browser: Browser) -> None:
        self.product = product
        self.url: str = product.ready["gateway"]
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._visits: list[Visit] = []

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        headers = self.product.headers if key is None else {"Authorization": f"Bearer {key}"}
        answer = requests.request(method, self.url + path, json=body, headers=headers, timeout=60)
        assert answer.ok, answer.text
        return answer.json()["data"]

    def key(self, role: str, *scopes: str, **more: Any) -> str:
        return str(self.ask("POST", "/v1/keys", {"role": role, "scopes": scopes, **more})["key"])

    def page(self, sign_in: dict[str, str] | None = None, **options: Any) -> Page:
        """Settings, as somebody sees them: with the first key, or signed in otherwise."""
        context = self._browser.new_context(
            **({"locale": "en-GB", "viewport": {"width": 1280, "height": 900}} | options)
        )
        self._contexts.append(context)
        given = sign_in or {"api_key": self.product.ready["api_key"]}
        answer = context.request.post(self.url + "/session", data=given)
        assert answer.status == 204, answer.text()
        visit = Visit(self.url, context.new_page())
        self._visits.append(visit)
        return visit.to("/settings")

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        for visit in self._visits:
            # A refusal is a line in the browser's own console; it is what these tests provoke.
            visit.expected = "Failed to load resource"
            visit.was_quiet()


def setting(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def unfold(place: Locator, title: str) -> Locator:
    place.locator("summary", has_text=title).click()
    return place.locator("details", has_text=title)


def secret(place: Locator, label: str) -> str:
    """What is shown this once."""
    box = place.locator(".secret")
    expect(box).to_be_focused()
    return box.get_by_label(label, exact=True).inner_text()


def said(place: Locator) -> Locator:
    return place.locator(".said")


def of(office: SettingsVisits, email: str) -> Any:
    (found,) = [one for one in office.ask("GET", "/v1/users") if one["email"] == email]
    return found

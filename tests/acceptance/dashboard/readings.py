"""What stands on a screen, and what the API says of the same."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import quote, urlencode

from playwright.sync_api import Locator, Page

from tests.acceptance.told_history import HOSTILE, ToldHistory

UNSPLIT = ("sent", "delivered", "hard_bounced", "soft_bounced", "complained", "unique_opens", "unique_clicks")
OPENS = {
    "people": ("human_opens",),
    "proxies": ("human_opens", "proxy_opens"),
    "all": ("human_opens", "proxy_opens", "machine_opens"),
}


def number(text: str) -> int:
    """A count as the page prints it."""
    return int(re.sub(r"[^0-9]", "", text))


def figure(place: Page | Locator, name: str) -> int:
    """The number of the figure whose explanation is of `name`."""
    return number(place.locator("button.figure", has_text=re.compile("")).and_(
        place.get_by_role("button", name=re.compile(f", {name}: explain"))).first.inner_text())  # fmt: skip


def counted(world: ToldHistory, **more: Any) -> dict[str, int]:
    metrics = [*UNSPLIT, "human_opens", "proxy_opens", "machine_opens", "clicks", "machine_clicks", "bounced"]
    rows = world.ask("POST", "/v1/query", {"metrics": metrics} | more)["data"]
    assert len(rows) == 1
    return dict(rows[0])


def screens(world: ToldHistory) -> dict[str, str]:
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


def report(world: ToldHistory, path: str, **query: str) -> Any:
    """The data of a report of the workspace."""
    url = f"/api/v1/workspaces/{world.product.ready['workspace']}/analytics/{path}?{urlencode(query)}"
    return world.ask("GET", url)["data"]


def percent(part: int, whole: int, digits: int) -> str:
    """A rate as the page prints it."""
    exact = Decimal(100 * part) / whole
    return f"{exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)}\N{NARROW NO-BREAK SPACE}%"

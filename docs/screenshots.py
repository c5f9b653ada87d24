"""Makes the pictures of the dashboard that README.md and docs/dashboard.md show, from the demo.

    ./postmeter test --version                      # once: what only tests and this need
    .venv/bin/python -m docs.screenshots            # a demo of its own, in a folder that is gone afterwards
    .venv/bin/python -m docs.screenshots --data DIR # the demo that runs there

Needs Debian's chromium. Pictures go to docs/screenshots/. A demo is made up by a seed, but it ends today, so dates and
weekdays differ from run to run.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Literal, NamedTuple

import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from docs.palette import paletted
from postmeter.cli.demo.model.calendar import Calendar
from tests import browser as browsers
from tests.product import running, wait_for

FOLDER = Path(__file__).with_name("screenshots")
WIDTH = 1280
MOST = 150_000
"""Bytes of a picture."""
PATIENCE = 120_000
"""Milliseconds that a screen may take, where events have to come, too."""
FILLED = "are there"


class Shown(NamedTuple):
    """A screen: its path, how high its picture is, and what is awaited before it is made."""

    path: str
    height: int
    awaited: str = "main h1"


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description="Makes the pictures of docs/screenshots from the demo.")
    parser.add_argument("--data", type=Path, help="Data directory of a running demo; default: one of its own.")
    with demo(parser.parse_args().data) as data, sync_playwright() as playwright:
        ready = json.loads((data / "ready.json").read_text())
        browser = playwright.chromium.launch(
            executable_path=browsers.path(), args=[*browsers.ARGUMENTS, "--disable-lcd-text"], chromium_sandbox=False
        )
        shown = screens(ready, json.loads((data / "demo" / "progress.json").read_text())["first"])
        FOLDER.mkdir(exist_ok=True)
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for scheme in schemes:
            page = signed_in(browser, ready, scheme)
            for name, screen in shown.items():
                page.set_viewport_size({"width": WIDTH, "height": screen.height})
                page.goto(ready["gateway"] + screen.path)
                page.locator(screen.awaited).wait_for(timeout=PATIENCE)
                shoot(page, FOLDER / f"{name}-{scheme}.png")
        browser.close()


@contextmanager
def demo(running_there: Path | None) -> Iterator[Path]:
    """The data directory of a demo whose history is filled."""
    if running_there is not None:
        yield running_there
        return
    with tempfile.TemporaryDirectory(prefix="pm-") as folder, running(Path(folder), "demo") as product:
        wait_for("the demo's history", lambda: FILLED in product.output.read_text(), 600)
        yield product.data


def screens(ready: dict[str, Any], first: str) -> dict[str, Shown]:
    """The screens that are shown, by the names of their pictures."""
    calendar = Calendar(date.fromisoformat(first))
    star = calendar.sendings(calendar.star)[0].campaign.id
    return {
        "overview": Shown("/?period=30d", 980),
        "campaign": Shown(f"/campaigns/{star}", 900),
        "deliverability": Shown("/deliverability?period=30d", 900),
        "message": Shown(f"/messages/{told_much(ready, star)}", 760),
        "when": Shown("/when?period=90d", 760),
        "compare": Shown("/compare", 760, ".verdict >> nth=0"),
        "live": Shown("/live?pause=0", 760, ".live li >> nth=7"),
        "privacy": Shown("/settings/privacy", 1180),
        "settings": Shown("/settings", 860),
    }


def told_much(ready: dict[str, Any], campaign: str) -> str:
    """The id of a mail of the campaign that a machine and then people had to do with, so briefly that it fits."""
    headers = {"Authorization": f"Bearer {ready['api_key']}"}

    def ask(method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, ready["gateway"] + path, json=body, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.json()["data"]

    wanted = {"engagement": "clicked", "filters": {"campaign": [campaign]}, "limit": 500}
    found = [message["id"] for message in ask("POST", "/v1/messages/search", wanted)]

    def fits(message: str) -> bool:
        events = ask("GET", f"/v1/messages/{message}/events")["events"]
        seen = [event["verdict"] for event in events if event["type"] in ("opened", "clicked")]
        return len(seen) < 5 and "machine" in seen and "proxy" in seen

    return str(next(filter(fits, found), found[0]))


def signed_in(browser: Browser, ready: dict[str, Any], scheme: Literal["light", "dark"]) -> Page:
    """A page of somebody who is signed in and likes that colour scheme."""
    context = browser.new_context(locale="en-GB", color_scheme=scheme, reduced_motion="reduce")
    answer = context.request.post(f"{ready['gateway']}/session", data={"api_key": ready["api_key"]})
    assert answer.status == 204, answer.text()
    return context.new_page()


def shoot(page: Page, file: Path) -> None:
    """Look at a screen once nothing is loading there any more, and keep the picture."""
    for loading in (".loading", "[aria-busy=true]"):
        expect(page.locator(loading)).to_have_count(0, timeout=PATIENCE)
    picture = paletted(page.screenshot(animations="disabled"))
    print(f"{file.name}: {len(picture):,} bytes")
    if len(picture) > MOST:
        raise SystemExit(f"{file} would have {len(picture):,} bytes, {MOST:,} at most")
    file.write_bytes(picture)


if __name__ == "__main__":
    main()

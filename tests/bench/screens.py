"""Time until a screen of the dashboard is usable, in a real Chromium, over a large data set.

Run: .venv/bin/python -m tests.bench.screens --data DIR [--events 20000000] [--visits 20] [--only TEXT]

Loads the data set into DIR unless it is there (tests/bench/dataset.py) and starts Postgres, Redis, query-service and
gateway as tests.bench.queries does; each answer is computed, none kept. A visit opens a screen by its address; it is
usable when its title stands there and nothing is loading any more, nor waited for. The first visit of each screen, by a
browser that has nothing in its cache, is told apart. Beside each screen: the requests to the API that it makes, their
time from first to last, what of the screen's time is not theirs, and the CPU of a visit in gateway, query-service,
Postgres and the browser (with what drives it). Prints a table in Markdown.
See README.md beside this file for what the figures mean.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Browser, BrowserContext, Request, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests import browser as browsers
from tests.bench import dataset
from tests.bench.dataset import Dataset
from tests.bench.queries import services
from tests.bench.rollup import cpu_seconds

TARGET_MS = 1000.0
PATIENCE_MS = 30_000
STEP_MS = 5
API = ("/v1/", "/api/")
USABLE = "() => document.querySelector('main h1') && !document.querySelector('.loading, [aria-busy=true]')"


class Visit(NamedTuple):
    """Milliseconds until the screen was usable, and from its first request to the API to the last answer."""

    usable: float
    waited: float
    requests: int


def paths(data: Dataset) -> dict[str, str]:
    """Every screen by an address that has much to show: the last thirty days of the data set, and all its days."""
    last = data.end.date()
    days = {"from": str(last.replace(day=1)), "to": str(last)}
    whole = {"from": str(data.begin.date()), "to": str(last)}
    first, second, third = data.campaigns[:3]
    return {
        "Overview": "/?" + urlencode(days),
        "Overview, 90 days": "/?" + urlencode(whole),
        "Overview, 90 days, one mailbox provider": "/?" + urlencode(whole | {"mailbox_provider": "gmail"}),
        "Campaigns, 90 days": "/campaigns?" + urlencode(whole),
        "Campaign": f"/campaigns/{first}",
        "Message": f"/messages/{data.message}",
        "Deliverability, 90 days": "/deliverability?" + urlencode(whole),
        "When": "/when",
        "Compare": "/compare?" + urlencode([("campaign", one) for one in (first, second, third)]),
        "Explore, 90 days, by mailbox provider and day": "/explore?"
        + urlencode(whole | {"per": "day", "by": "mailbox_provider"}),
        "Explore, 90 days, clicks by link": "/explore?" + urlencode(whole | {"metric": "clicks", "by": "link"}),
    }


def visit(context: BrowserContext, url: str) -> Visit:
    """Open a screen in a new page, and wait until it can be used and all that it asked for is there."""
    page = context.new_page()
    asked: list[Request] = []
    pending: set[Request] = set()

    def ask(request: Request) -> None:
        if urlsplit(request.url).path.startswith(API):
            asked.append(request)
            pending.add(request)

    page.on("request", ask)
    page.on("requestfinished", lambda request: pending.discard(request))
    page.on("requestfailed", lambda request: pending.discard(request))
    try:
        began = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_function(USABLE, timeout=PATIENCE_MS)
        while pending:
            page.wait_for_timeout(STEP_MS)
            page.wait_for_function(USABLE, timeout=PATIENCE_MS)
        usable = 1000 * (time.perf_counter() - began)
        return Visit(usable, _waited(asked), len(asked))
    except PlaywrightError as error:
        raise SystemExit(f"{url} is not usable: {error}\n{page.content()[:2000]}") from None
    finally:
        page.close()


def _waited(asked: list[Request]) -> float:
    spans = [request.timing for request in asked]
    begun = [span["startTime"] for span in spans]
    ended = [span["startTime"] + max(span["responseEnd"], 0) for span in spans]
    return max(ended) - min(begun) if spans else 0.0


def signed_in(browser: Browser, url: str, data: Dataset) -> BrowserContext:
    """A browser with a session and an empty cache. What waits in the page is written as text, which its policy bars."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800}, bypass_csp=True)
    answer = context.request.post(url + "/session", data={"api_key": data.api_key})
    if answer.status != 204:
        raise SystemExit(f"no session: {answer.status} {answer.text()}")
    return context


def measure(browser: Browser, url: str, pids: list[int], name: str, path: str, data: Dataset, visits: int) -> str:
    """A screen's row. pids: of gateway, query-service and Postgres."""
    context = signed_in(browser, url, data)
    first = visit(context, url + path)
    before = _cpu(pids)
    taken = [visit(context, url + path) for _ in range(visits)]
    cpu = [1000 * (after - then) / visits for after, then in zip(_cpu(pids), before, strict=True)]
    context.close()
    usable = [one.usable for one in taken]
    cuts = statistics.quantiles(usable, n=20) if len(usable) > 1 else usable * 19
    p95 = cuts[18]
    missed = " (!)" if p95 > TARGET_MS else ""
    waited = statistics.median(one.waited for one in taken)
    rest = statistics.median(one.usable - one.waited for one in taken)
    times = f"{first.usable:,.0f} | {statistics.median(usable):,.0f} | {p95:,.0f}{missed}"
    spent = " + ".join(f"{one:,.0f}" for one in cpu)
    return f"| {name} | {times} | {taken[0].requests} | {waited:,.0f} | {rest:,.0f} | {spent} |"


def _cpu(pids: list[int]) -> list[float]:
    """Seconds of these, and of all else below this process: the browser, and what drives it."""
    spent = [cpu_seconds(pid) for pid in pids]
    return [*spent, cpu_seconds(os.getpid()) - sum(spent)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data set's folder; made if it is not there")
    parser.add_argument("--events", type=int, default=20_000_000, help="of a data set that is not there yet")
    parser.add_argument("--visits", type=int, default=20, help="of each screen, after the first one")
    parser.add_argument("--only", action="append", help="screens with this text in their name; repeatable")
    options = parser.parse_args()
    folder = options.data.absolute()
    with ExitStack() as stack:
        data, server, broker = stack.enter_context(dataset.stores(folder, options.events))
        url, pids, _ = stack.enter_context(services(data, folder, server.dsn(), broker.url, kept=0))
        chromium = stack.enter_context(sync_playwright()).chromium
        browser = chromium.launch(executable_path=browsers.path(), args=browsers.ARGUMENTS, chromium_sandbox=False)
        stack.callback(browser.close)
        print(f"{data.events:,} events over {data.days} days; milliseconds\n")
        print("| screen | first | p50 | p95 | requests | of that the API | the rest | CPU |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        for name, path in paths(data).items():
            if not options.only or any(text in name for text in options.only):
                print(measure(browser, url, [*pids, server.pid], name, path, data, options.visits), flush=True)


if __name__ == "__main__":
    main()

"""A real newsletter, a real browser, real numbers."""

import html
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.product import Product, running, wait_for

PATH_AND_QUERY = "/offer/50%25%20off?utm_source=mail&q=a%2Bb+c&double=%2525"


@dataclass
class Site:
    """Both ends of the mail outside Postmeter: where it is read and where its link leads."""

    url: str = ""
    newsletter: bytes = b""
    arrivals: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = site.newsletter if self.path == "/newsletter" else b"<title>arrived</title>"
            if self.path.startswith("/offer"):
                site.arrivals.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("newsletter")) as product:
        yield product


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def newsletter(site: Site) -> str:
    text = (Path(__file__).parent / "newsletter.html").read_text()
    return text.replace("https://shop.example/offer", html.escape(site.url + PATH_AND_QUERY))


def get(product: Product, path: str) -> Any:
    answer = requests.get(product.ready["gateway"] + path, headers=product.headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def post(product: Product, path: str, body: object) -> Any:
    answer = requests.post(product.ready["gateway"] + path, json=body, headers=product.headers, timeout=60)
    assert answer.status_code in (200, 201, 202), answer.text
    return answer.json()


def query(product: Product, **filters: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    body = {
        "metrics": ["sent", "delivered", "opens", "unique_opens", "clicks", "unique_clicks", "machine_opens"],
        "dimensions": ["campaign"],
        "from": (now - timedelta(days=1)).isoformat(),
        "to": (now + timedelta(minutes=1)).isoformat(),
        "filters": filters,
    }
    rows = post(product, "/v1/query", body)["data"]
    return rows[0] if rows else {}


def test_a_newsletter_is_opened_clicked_and_counted(product: Product, site: Site, page: Page) -> None:
    original = newsletter(site)
    registered = post(
        product,
        "/v1/messages",
        {
            "campaign_id": "spring",
            "campaign_name": "Spring offer",
            "from_address": "News <news@shop.example>",
            "to": "Reader@Example.org",
            "subject": "Half off",
            "provider": "postmark",
            "template": "offer",
            "html": original,
        },
    )["data"]
    site.newsletter = registered["html"].encode()
    assert [link["url"] for link in registered["links"]] == [site.url + PATH_AND_QUERY]
    sent = [{"type": "sent", "message_id": registered["id"]}, {"type": "delivered", "message_id": registered["id"]}]
    assert post(product, "/v1/events", {"events": sent})["accepted"] == 2

    before = get(product, "/api/v1/tracking/stats")
    with page.expect_response(re.compile("/api/v1/track/open/")) as pixel:
        page.goto(site.url + "/newsletter")
    assert pixel.value.status == 200
    assert pixel.value.headers["content-type"] == "image/gif"
    page.click("#offer")
    expect(page).to_have_url(re.compile("/offer"))

    assert page.url == site.url + PATH_AND_QUERY
    assert site.arrivals == [PATH_AND_QUERY]
    expected = {"sent": 1, "delivered": 1, "opens": 1, "unique_opens": 1, "clicks": 1, "unique_clicks": 1}
    wait_for("the query", lambda: expected.items() <= query(product, campaign=["spring"]).items())
    live = wait_for("the live totals", lambda: moved(product, before))
    assert live == {"opens": 1, "unique_opens": 1, "clicks": 1, "unique_clicks": 1}

    totals = get(product, "/api/v1/analytics?period=1h")
    assert totals["totals"]["sent"] == 1
    assert [d["domain_name"] for d in totals["domains"]] == ["shop.example"]
    series = get(product, f"/api/v1/analytics?period=24h&domain_id={totals['domains'][0]['domain_id']}")["stats"]
    assert (len(series), sum(point["sent"] for point in series)) == (24, 1)


def moved(product: Product, before: dict[str, Any]) -> dict[str, int] | None:
    now = get(product, "/api/v1/tracking/stats")
    grown = {k: now[k] - before[k] for k in ("opens", "unique_opens", "clicks", "unique_clicks")}
    return grown if grown["opens"] and grown["clicks"] else None


def test_the_instrumented_mail_differs_only_in_what_was_spliced(product: Product, site: Site) -> None:
    original = newsletter(site)
    data = post(product, "/v1/messages", {"from_address": "a@shop.example", "to": "b@c.example", "html": original})
    instrumented = data["data"]["html"]
    undone = re.sub(r'<img src="[^"]*/api/v1/track/open/[^>]*>', "", instrumented)
    for link in data["data"]["links"]:
        undone = undone.replace(html.escape(link["tracking_url"]), html.escape(link["url"]))
        undone = undone.replace(link["tracking_url"], html.escape(link["url"]))
    assert undone == original


def test_a_second_reading_is_one_more_open_and_no_more_unique(product: Product) -> None:
    link = '<a href="https://shop.example/offer">x</a>'
    body = {"campaign_id": "twice", "from_address": "a@twice.example", "to": "b@c.example", "html": link}
    data = post(product, "/v1/messages", body)["data"]
    open_url = data["open_url"]
    for agent in ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0"):
        assert requests.get(open_url, headers={"User-Agent": agent}, timeout=60).status_code == 200
    assert requests.get(open_url, headers={"Sec-Purpose": "prefetch"}, timeout=60).status_code == 200
    assert requests.head(open_url, timeout=60).status_code == 200
    through_gateway(product, open_url, 200)
    through_gateway(product, data["links"][0]["tracking_url"], 302)
    expected = {"opens": 3, "unique_opens": 1, "machine_opens": 1, "clicks": 1, "unique_clicks": 1}
    wait_for("all of them", lambda: expected.items() <= query(product, campaign=["twice"]).items())


def through_gateway(product: Product, url: str, status: int) -> None:
    """Ask the gateway for a tracking URL; the answer must be tracking-service's, not the stand-in's."""
    path = url.removeprefix(product.ready["tracking"])
    assert path != url
    answer = requests.get(
        product.ready["gateway"] + path, headers={"User-Agent": "Mozilla/5.0"}, allow_redirects=False, timeout=60
    )
    assert (answer.status_code, answer.headers.get("Postmeter-Dropped")) == (status, None)


def test_numbers_outlive_a_restart(product: Product) -> None:
    """The last test of the file: it stops the product of all."""
    body = {"campaign_id": "kept", "from_address": "a@kept.example", "to": "b@c.example", "html": "<p>x</p>"}
    opens = get(product, "/api/v1/tracking/stats")["opens"]
    open_url = post(product, "/v1/messages", body)["data"]["open_url"]
    assert requests.get(open_url, timeout=60).status_code == 200
    assert product.stop() == 0
    with running(product.data.parent) as restarted:
        assert restarted.ready["api_key"] == product.ready["api_key"]
        wait_for("the open", lambda: query(restarted, campaign=["kept"]).get("opens") == 1)
        assert get(restarted, "/api/v1/tracking/stats")["opens"] == opens + 1

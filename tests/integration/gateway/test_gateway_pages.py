"""/openapi.json and /docs: answered by the gateway alone, and shown by a real browser that reaches nothing else."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Request, Response, async_playwright

from postmeter.gateway.pages import files
from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.apis.pages import SCREENS
from postmeter.shared.apis.table import ENDPOINTS
from tests import browser as chromium
from tests.integration.running_gateway import client, gateway

SITE = Path(files.__file__).parents[1] / "site"
FILES = ("start.js", "style.css", "icon.svg", "swagger-ui-bundle.js", "swagger-ui.css")


@pytest.fixture
async def url(shared_postgres_dsn: str) -> AsyncIterator[str]:
    """A gateway whose services and Redis are all down."""
    async with gateway(shared_postgres_dsn) as url:
        yield url


async def get(url: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    async with (
        client() as session,
        session.request(method, url, headers={"Accept-Encoding": "identity"} | headers) as answer,
    ):
        return answer.status, answer.headers, await answer.read()


async def test_the_document_needs_no_key_and_no_service(url: str) -> None:
    status, headers, body = await get(url + "/openapi.json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert set(json.loads(body)["paths"]) == {endpoint.path for endpoint in ENDPOINTS}
    assert (await get(url + "/openapi.json", "HEAD"))[::2] == (200, b"")


@pytest.mark.parametrize("path", ["/docs", *(f"/docs/{name}" for name in FILES)])
async def test_the_page_is_whole_and_guarded(url: str, path: str) -> None:
    status, headers, body = await get(url + path, **{"Accept-Encoding": "gzip"})
    assert (status, headers["Content-Encoding"], headers["X-Content-Type-Options"]) == (200, "gzip", "nosniff")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    plain = await get(url + path)
    assert plain[2] == gzip.decompress(body)
    assert (await get(url + path, **{"If-None-Match": headers["ETag"]}))[::2] == (304, b"")


async def test_who_looks_for_the_page_finds_it(url: str) -> None:
    async with client() as session, session.get(url + "/docs/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"], await answer.read()) == (302, "/docs", b"")
    async with client() as session, session.get(url + "/docs/") as answer:
        assert (answer.status, answer.url.path) == (200, "/docs")


async def test_there_is_no_other_file(url: str) -> None:
    for name in ("nothing", "index.html", "%2e%2e%2fpages.py", "swagger-ui.js"):
        assert (await get(f"{url}/docs/{name}"))[0] == 404


@pytest.mark.parametrize(
    ("folder", "licences"),
    [
        (SITE / "swagger-ui", {"LICENSE", "NOTICE"}),
        (SITE / "htm", {"LICENSE", "LICENSE.preact"}),
        (SITE / "uplot", {"LICENSE"}),
        (Path(__file__).parents[2] / "axe-core", {"LICENSE", "LICENSE-3RD-PARTY.txt"}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_files_of_others_are_those_that_were_released(folder: Path, licences: set[str]) -> None:
    origin = json.loads((folder / "ORIGIN.json").read_text())
    listed = origin["files"]
    assert set(origin.get("changed", {})) <= {"swagger-ui-bundle.js.LICENSE.txt"}
    found = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "ORIGIN.json"}
    digests = {name: base64.b64encode(hashlib.sha256(content).digest()).decode() for name, content in found.items()}
    assert {name: f"sha256-{digest}" for name, digest in digests.items()} == listed
    assert licences < set(listed)


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.path)
async def test_every_screen_is_a_guarded_page(url: str, screen: Endpoint) -> None:
    status, headers, body = await get(url + screen.path.replace("{id}", "%2e%2e%2fx") + "?period=7d")
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "text/html; charset=utf-8", "no-cache")
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"} < set(policy)
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "http" not in headers["Content-Security-Policy"]
    assert (await get(url + screen.path, **{"If-None-Match": headers["ETag"]}))[::2] == (304, b"")
    paths = [path.decode() for path in re.findall(rb'(?:href|src)="(/dashboard/[^"]+)"', body)]
    assert len(paths) == len(set(paths))
    for path in paths:
        status, headers, _ = await get(url + path)
        assert (status, headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")


async def test_the_dashboard_has_no_other_file(url: str) -> None:
    _, _, body = await get(url + "/")
    (base,) = {b"/".join(path.split(b"/")[:3]).decode() for path in re.findall(rb'"(/dashboard/[^"]+)"', body)}
    assert (await get(f"{url}{base}/main.js"))[0] == 200
    for path in (
        f"{base}/index.html",
        f"{base}/nothing.js",
        f"{base}/parts/..%2fmain.js",
        "/dashboard/0/main.js",
        "/x",
    ):
        assert (await get(url + path))[0] == 404, path


async def test_a_browser_shows_every_endpoint_and_loads_nothing_from_elsewhere(url: str) -> None:
    asked: list[Request] = []
    answers: list[Response] = []
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium.path(), args=chromium.ARGUMENTS, chromium_sandbox=False
        )
        page = await browser.new_page()
        page.on("request", lambda request: asked.append(request))
        page.on("response", lambda answer: answers.append(answer))
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(url + "/docs")
        await page.wait_for_selector(".opblock")
        # Each endpoint, folded out, is rendered with its parameters and schemas.
        blocks = page.locator(".opblock")
        assert await blocks.count() == len(ENDPOINTS)
        await page.locator("#operations-Krafter-get_api_v1_mail_stats_daily button.opblock-summary-control").click()
        await page.locator("input[placeholder=days]").fill("7")
        await page.locator("button.execute").click()
        await page.wait_for_selector(".live-responses-table .response")
        status = await page.locator(".live-responses-table .response .response-col_status").inner_text()
        await browser.close()
    # Tried without a key: the gateway's own 401, and so the only complaint.
    assert status.startswith("401")
    assert [said for said in complaints if "401" not in said] == []
    assert {urlsplit(request.url).netloc for request in asked if not request.url.startswith("data:")} == {
        urlsplit(url).netloc
    }
    assert {answer.status for answer in answers if "/api/" not in answer.url} == {200}

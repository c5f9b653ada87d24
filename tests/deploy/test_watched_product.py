"""A running product under a real Prometheus: what rules and panels ask has data, and what is broken fires its alert.

The tests break the same product one after another, in this order. What takes hours to become true or must never happen
fires in alert_cases.py alone (BY_CASES).
"""

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import requests

from postmeter.cli.access import database_dsn
from tests.deploy.prometheus import Prometheus, scraping
from tests.deploy.rule_files import INSTALL, PROMETHEUS, alerts, panels, recorded, series
from tests.missing import need
from tests.product import Product, descendants, running, wait_for
from tests.webhooks.signatures import basic

SETTINGS = {
    "SPOOL_BYTES": "12000",
    "SPOOL_RESERVE": "0",
    "DISK_LOW": str(2**60),
    "DEAD_LETTER_LIMIT": "1",
    "NETWORKS": "/nowhere/networks.txt",
    "MAX_CONNECTIONS": "60",
}
BY_CASES = {"PostmeterHitsUnaccounted", "PostmeterErrorBudgetBurnsFast", "PostmeterErrorBudgetBurnsSlowly",
            "PostmeterShardStalled", "PostmeterStreamSetBack"}  # fmt: skip
MESSAGE = {"from_address": "a@watched.example", "to": "b@c.example", "html": '<a href="http://127.0.0.1:9/">x</a>'}
QUERY = {"metrics": ["opens"], "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
UNREADABLE = {"RecordType": "Delivery", "ID": 1}


@dataclass
class Watched:
    """The product, who watches it, and one message whose links are hit."""

    product: Product
    prometheus: Prometheus
    pixel: str
    click: str
    webhook: str
    secret: str

    @property
    def gateway(self) -> str:
        return str(self.product.ready["gateway"])

    def api(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(
            method, self.gateway + path, json=body, headers=self.product.headers, timeout=60, allow_redirects=False
        )

    def delivers(self, item: dict[str, Any], secret: str = "") -> int:
        answer = requests.post(self.webhook, json=item, headers=basic(secret or self.secret), timeout=60)
        return answer.status_code

    def hits(self, url: str, times: int) -> None:
        with requests.Session() as session:
            for _ in range(times):
                assert session.get(url, timeout=60, allow_redirects=False).status_code in (200, 302)

    @contextmanager
    def frozen(self, words: str) -> Iterator[None]:
        """A process and those below it stand still for the `with` block."""
        pid = wait_for(words, lambda: self.product.pid_of(words))
        stopped = [pid, *descendants(pid)]
        for one in stopped:
            os.kill(one, signal.SIGSTOP)
        try:
            yield
        finally:
            for one in stopped:
                os.kill(one, signal.SIGCONT)

    def is_ready(self) -> bool:
        return all(
            requests.get(f"{url}/readyz", timeout=30).status_code == 200 for url in self.product.ready["ops"].values()
        )


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    need(PROMETHEUS, INSTALL)
    folder = Path(tempfile.mkdtemp(prefix="pm-"))
    (folder / "prometheus").mkdir()
    with pytest.MonkeyPatch.context() as environ:
        for name, value in SETTINGS.items():
            environ.setenv(f"POSTMETER_{name}", value)
        with running(folder) as product, scraping(product, folder / "prometheus") as prometheus:
            post = f"{product.ready['gateway']}/v1"
            message = requests.post(f"{post}/messages", json=MESSAGE, headers=product.headers, timeout=60).json()[
                "data"
            ]
            source = {"provider": "postmark", "name": "of the test"}
            made = requests.post(f"{post}/sources", json=source, headers=product.headers, timeout=60).json()["data"]
            yield Watched(
                product, prometheus, message["open_url"], message["links"][0]["tracking_url"], made["url"],
                made["secret"],
            )  # fmt: skip
    shutil.rmtree(folder)


def posted(product: Product, path: str, body: Any) -> Any:
    answer = requests.post(product.ready["gateway"] + path, json=body, headers=product.headers, timeout=60)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def through_gateway(watched: Watched, url: str) -> str:
    return watched.gateway + urlsplit(url).path + "?" + urlsplit(url).query


def has_data(watched: Watched, expression: str) -> bool:
    return watched.prometheus.ask(expression) != []


def test_what_rules_and_panels_ask_has_data(watched: Watched) -> None:
    watched.hits(watched.pixel, 5)
    watched.hits(watched.click, 5)
    watched.hits(through_gateway(watched, watched.pixel), 3)
    assert watched.api("POST", "/v1/query", QUERY).status_code == 200
    assert watched.delivers({"RecordType": "Delivery", "MessageID": "m1", "DeliveredAt": "2026-01-01T00:00:00Z",
                             "Recipient": "b@c.example"}) == 200  # fmt: skip
    asked = {f"{name}{{{','.join(f'{a}{b}{chr(34)}{c}{chr(34)}' for a, b, c in matchers)}}}"
             for alert in alerts().values() for name, matchers in series(alert["expr"])}  # fmt: skip
    asked = {one for one in asked if 'status=~"5.."' not in one}
    for expression in sorted(asked | recorded() | {query for _, query in panels()}):
        wait_for(f"data of {expression}", partial(has_data, watched, expression))


def test_the_certificate_is_kept(watched: Watched) -> None:
    recorded_hits = 'sum(postmeter_hits_answered_total{outcome="recorded"})'
    wait_for("all hits to be seen", lambda: watched.prometheus.value(recorded_hits) == 13)
    assert watched.prometheus.value("sum(postmeter:hits_unaccounted)") == 0
    assert watched.prometheus.value("sum(postmeter:gateway_hits_unaccounted)") == 0
    assert watched.prometheus.value("sum(postmeter_hits_stored_total)") == 13


def test_exemplars_lead_to_requests(watched: Watched) -> None:
    def ids() -> set[str]:
        answer = watched.prometheus.get("query_exemplars", query="postmeter_query_seconds_bucket", start="0", end="9e9")
        return {exemplar["labels"]["request_id"] for found in answer for exemplar in found["exemplars"]}

    headers = watched.product.headers | {"X-Request-Id": "asked-by-the-test"}
    requests.post(f"{watched.gateway}/v1/query", json=QUERY, headers=headers, timeout=60)
    wait_for("the request's id", lambda: "asked-by-the-test" in ids())


def test_what_settings_break(watched: Watched) -> None:
    assert requests.get(watched.pixel, headers={"X-Forwarded-For": "198.51.100.7"}, timeout=60).status_code == 200
    watched.prometheus.fires("PostmeterSpoolDiskLow", "PostmeterListsNotRefreshed", "PostmeterWarns")


def test_callers_and_providers_that_are_refused(watched: Watched) -> None:
    with ThreadPoolExecutor(8) as threads:
        headers = {"Authorization": "Bearer pm_unknown"}
        url = f"{watched.gateway}/v1/campaigns"
        assert {a.status_code for a in threads.map(lambda _: requests.get(url, headers=headers), range(200))} == {401}
    assert watched.delivers(UNREADABLE, "another secret") == 401
    assert watched.delivers(UNREADABLE) == 200
    watched.prometheus.fires("PostmeterKeysRefused", "PostmeterDeadLetters", "PostmeterWebhooksRefused")
    assert watched.delivers(UNREADABLE) == 200
    watched.prometheus.fires("PostmeterDeadLettersDropped")


def test_exports_without_a_folder(watched: Watched) -> None:
    folder = watched.product.data / "exports"
    aside = folder.rename(folder.with_name("aside"))
    folder.write_text("")
    path = f"/api/v1/workspaces/{watched.product.ready['workspace']}/analytics/export"
    assert watched.api("POST", path, {"export_type": "messages"}).status_code in (200, 202)
    watched.prometheus.fires("PostmeterExportsFail")
    folder.unlink()
    aside.rename(folder)


def test_more_connections_than_there_is_room_for(watched: Watched) -> None:
    at = urlsplit(watched.product.ready["tracking"])
    open_ones = [socket.create_connection((at.hostname, at.port)) for _ in range(80)]
    watched.prometheus.fires("PostmeterConnectionsRefused")
    for one in open_ones:
        one.close()


def test_an_aggregator_that_dies_or_stands_still(watched: Watched) -> None:
    watched.product.kill("run aggregator")
    watched.prometheus.fires("PostmeterShardTakenOver")
    with watched.frozen("run aggregator"):
        watched.prometheus.fires("PostmeterTargetDown", "PostmeterShardWithoutOwner")
    wait_for("ready again", watched.is_ready)


def test_a_schema_of_before(watched: Watched) -> None:
    async def change(statement: str) -> str:
        with database_dsn(watched.product.data) as dsn:
            connection = await asyncpg.connect(dsn.reveal())
            try:
                return str(await connection.fetchval(statement))
            finally:
                await connection.close()

    # What comes after the services is not needed to serve (ADR 57).
    newest = "SELECT max(name) FROM migration WHERE name NOT LIKE '%.after.sql'"
    newest = asyncio.run(change(f"DELETE FROM migration WHERE name = ({newest}) RETURNING name"))
    watched.prometheus.fires("PostmeterSchemaBehind")
    asyncio.run(change(f"INSERT INTO migration (name) VALUES ('{newest}') RETURNING name"))


def test_an_erasure_that_waits_for_a_transaction(watched: Watched) -> None:
    """One that was asked for two hours ago, and a transaction that has not ended since."""

    async def erase() -> None:
        with database_dsn(watched.product.data) as dsn:
            held, other = [await asyncpg.connect(dsn.reveal()) for _ in range(2)]
            try:
                async with held.transaction():
                    await held.fetchval("SELECT pg_current_xact_id()")
                    answer = await asyncio.to_thread(watched.api, "POST", "/v1/recipients/erase", {"to": "b@c.example"})
                    assert answer.status_code == 202
                    await other.execute("UPDATE erasure SET requested_at = requested_at - interval '2 hours'")
                    await asyncio.to_thread(watched.prometheus.fires, "PostmeterErasureOpen")
            finally:
                await held.close()
                await other.close()

    asyncio.run(erase())
    wait_for("the erasure to get on", lambda: "PostmeterErasureOpen" not in watched.prometheus.firing())


def test_stores_and_services_that_stand_still(watched: Watched) -> None:
    with ThreadPoolExecutor(12) as threads, watched.frozen("run query"):
        first = threads.submit(watched.api, "POST", "/v1/query", QUERY)
        with watched.frozen("/postgres"):
            watched.hits(watched.pixel, 1)
            watched.prometheus.fires("PostmeterNotReady", "PostmeterNumbersBehind")
        assert first.result().status_code == 504
        # Of a series that begins Prometheus sees only what comes after its first value.
        wait_for("that to be seen", lambda: watched.prometheus.ask('postmeter_gateway_seconds_count{status="504"}'))
        slow = [threads.submit(watched.api, "POST", "/v1/query", QUERY) for _ in range(10)]
        assert {one.result().status_code for one in slow} == {504}
    watched.prometheus.fires("PostmeterApiErrors", "PostmeterApiSlow")
    with watched.frozen("run tracking"):
        watched.hits(through_gateway(watched, watched.pixel), 1)
    watched.prometheus.fires("PostmeterHitsServedByGateway")
    wait_for("ready again", watched.is_ready)


def test_redis_that_stands_still(watched: Watched) -> None:
    with watched.frozen("valkey-server"):
        watched.hits(watched.pixel, 1)
        wait_for("requests that pass unlimited", lambda: is_unlimited(watched))
        watched.prometheus.fires("PostmeterSpoolWaiting")
        for segment in (watched.product.data / "spool").glob("*/*.segment"):
            os.utime(segment, (0, 0))
        watched.prometheus.fires("PostmeterSpoolOld")
        dropped: Callable[[], bool] = lambda: "Postmeter-Dropped" in requests.get(watched.pixel, timeout=60).headers  # noqa: E731
        wait_for("a hit that is dropped", dropped)
        watched.prometheus.fires("PostmeterSpoolNearlyFull", "PostmeterHitsLost")
    wait_for("ready again", watched.is_ready)
    assert watched.prometheus.value("sum(postmeter:hits_unaccounted)") == 0


def is_unlimited(watched: Watched) -> bool:
    """Asks once more, and looks whether it was noticed that nobody counted."""
    watched.api("GET", "/v1/campaigns")
    return "PostmeterRateLimiterOpen" in watched.prometheus.firing()


def test_no_alert_is_left_out() -> None:
    text = Path(__file__).read_text()
    fired = {name for name in alerts() if f'"{name}"' in text}
    assert fired == set(alerts())

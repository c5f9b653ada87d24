"""A recipient is erased while everything runs: what came through every door goes, whoever dies, and sums stay."""

import hashlib
import json
import os
import signal
import tempfile
import threading
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis.asyncio
import requests

from postmeter.cli import access
from postmeter.shared.stream import streams
from tests.markers import Markers
from tests.product import Product, running, wait_for
from tests.waiting import until

ADDRESS, REF = "ada.markerlovelace@reader-of-marks.example", "ref-markerlovelace"
HASH = hashlib.sha256(ADDRESS.encode()).hexdigest()
MARKERS = Markers("markerlovelace", HASH, "reader-of-marks", "name-of-marker")
METRICS = [
    *("sent", "delivered", "bounced", "opens", "unique_opens", "clicks", "unique_clicks", "machine_opens"),
    *("machine_clicks", "complained", "unsubscribed", "replies"),
]


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with tempfile.TemporaryDirectory(prefix="pm-") as folder, running(Path(folder)) as started:
        yield started


class OwnedProduct:
    """The product as its owner's key sees it, and what it keeps."""

    def __init__(self, product: Product) -> None:
        self.product = product

    def ask(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        url = f"{self.product.ready['gateway']}{path}"
        answer = requests.request(method, url, json=body, headers=self.product.headers, timeout=60)
        assert answer.status_code in ((status,) if status else (200, 201, 202)), answer.text
        return answer.json()

    def register(self, n: int, to: str = ADDRESS) -> Any:
        ref, name = (REF, "name-of-marker") if to == ADDRESS else ("ref-of-another", "name-of-another")
        body = {"from_address": "news@shop.example", "to": f"Ada <{to}>", "subject": f"For {to.partition('@')[0]}"}
        body |= {"campaign_id": "spring", "provider": "SENDGRID", "provider_message_id": f"{name}-{n}"}
        links = '<html><body><a href="https://shop.example/?for=markerlovelace">x</a></body></html>'
        return self.ask("POST", "/v1/messages", body | {"recipient_ref": ref, "html": links})["data"]

    def totals(self) -> Any:
        return self.ask("POST", "/v1/query", {"metrics": METRICS})["data"][0]

    def export(self, kind: str) -> str:
        body = {"export_type": kind, "format": "csv", "time_range": "30d"}
        workspace = self.product.ready["workspace"]
        order = self.ask("POST", f"/api/v1/workspaces/{workspace}/analytics/export", body)
        return f"/api/v1/workspaces/{workspace}/analytics/exports/{order['data']['export_id']}"

    def exported(self, path: str) -> bool:
        return bool(self.ask("GET", path)["data"]["status"] != "processing")

    async def held(self) -> list[str]:
        """Where Postgres and Redis hold a marker."""
        with access.database_dsn(self.product.data) as dsn:
            connection = await asyncpg.connect(dsn.reveal())
            try:
                found = await MARKERS.in_tables(connection)
            finally:
                await connection.close()
        client = redis.asyncio.Redis.from_url(access.redis_url(self.product.data).reveal())
        try:
            return found + await MARKERS.in_redis(client)
        finally:
            await client.aclose()

    async def has_begun(self, job: str) -> bool:
        with access.database_dsn(self.product.data) as dsn:
            connection = await asyncpg.connect(dsn.reveal())
            try:
                found = await connection.fetchval("SELECT step > 0 FROM erasure WHERE id::text = $1", job)
            finally:
                await connection.close()
        return bool(found)


def tell(here: OwnedProduct, message: Any) -> None:
    """A provider's webhook tells of mail that nobody registered, and shops of what Ada bought and did."""
    source = here.ask("POST", "/v1/sources", {"provider": "postmark", "name": "shop"})["data"]
    bearer = b64encode(f"postmeter:{source['secret']}".encode()).decode()
    delivery: dict[str, Any] = {"RecordType": "Delivery", "MessageID": "name-of-marker-9", "Recipient": ADDRESS}
    delivered = datetime.now(UTC) - timedelta(hours=1)  # within the month that is counted where none is named
    delivery |= {"Metadata": {}, "DeliveredAt": f"{delivered:%Y-%m-%dT%H:%M:%SZ}", "Tag": "", "ServerID": 1}
    url = here.product.ready["gateway"] + source["url"].partition("/v1/")[1] + source["url"].partition("/v1/")[2]
    for told in (delivery, {**delivery, "RecordType": "Nothing that exists"}):
        answer = requests.post(url, json=told, headers={"Authorization": f"Basic {bearer}"}, timeout=60)
        assert answer.status_code == 200, answer.text
    events = [{"type": kind, "message_id": message["id"]} for kind in ("sent", "delivered")]
    here.ask("POST", "/v1/events", {"events": events})
    bought = {"contact_email": ADDRESS, "amount": 5, "currency": "EUR", "order_id": "order-markerlovelace"}
    items = [{"name": "markerlovelace", "quantity": 1, "price": 5}]
    here.ask("POST", "/api/v1/track/purchase", bought | {"items": items})
    custom = {"event_name": "seen", "contact_email": ADDRESS, "properties": {"of": "markerlovelace"}}
    here.ask("POST", "/api/v1/track/event", custom)
    chosen = {"to": ADDRESS, "opens": "granted", "source": "page of markerlovelace"}
    here.ask("PUT", "/v1/recipients/consent", chosen)
    requests.get(message["open_url"], timeout=60, headers={"User-Agent": "Thunderbird"})
    requests.get(message["links"][0]["tracking_url"], timeout=60, allow_redirects=False)


def watch(here: OwnedProduct, until: threading.Event) -> threading.Thread:
    """Somebody looks at the live stream."""

    def look() -> None:
        url = f"{here.product.ready['gateway']}/v1/live?events=1"
        with requests.get(url, headers=here.product.headers, stream=True, timeout=60) as answer:
            for _ in answer.iter_lines():
                if until.is_set():
                    return

    thread = threading.Thread(target=look)
    thread.start()
    return thread


async def test_everything_of_a_recipient_goes_but_what_it_adds_up_to(product: Product) -> None:
    here, over = OwnedProduct(product), threading.Event()
    looking = watch(here, over)
    message = here.register(1)
    here.register(2, "bob@elsewhere.example")
    tell(here, message)

    def counted() -> bool:
        now = here.totals()
        sums = (now["clicks"] + now["machine_clicks"], now["opens"] + now["machine_opens"], now["delivered"])
        return sums == (1, 1, 2)

    wait_for("counts", counted)
    finished = here.export("messages")
    wait_for("the export", lambda: here.exported(finished))
    before = here.totals()
    files = MARKERS.in_files(product.data, but=("postgres", "redis", "run"))
    assert [line for line in files if line.startswith("exports")]
    planted = {line.partition(":")[0].rstrip("_0123456789") for line in await here.held()}
    assert planted >= {"message", "purchase", "custom_event", "link", "subject", "consent"}, planted

    # The last message to Ada stays in the spool, and only comes when she is erased.
    valkey = product.pid_of("valkey-server")
    assert valkey is not None
    os.kill(valkey, signal.SIGSTOP)
    try:
        here.register(3)
        assert MARKERS.in_files(product.data / "spool")
        job = here.ask("POST", "/v1/recipients/erase", {"to": ADDRESS}, 202)["data"]["id"]
        begun = here.export("events")
        await until(lambda: here.has_begun(job))
        product.kill("run aggregator")
    finally:
        os.kill(valkey, signal.SIGCONT)
    over.set()

    def erasure() -> Any:
        told = here.ask("GET", f"/v1/recipients/erasures/{job}")["data"]
        return told if told["status"] == "completed" else None

    done = wait_for("the erasure", erasure)
    looking.join()
    assert done["completed_at"].endswith("Z")
    least = {"message": 2, "purchase": 1, "custom_event": 1, "link": 1, "consent": 1}
    assert least.items() <= done["removed"].items(), done
    assert here.totals() == before
    wait_for("the other export", lambda: here.exported(begun))
    client = redis.asyncio.Redis.from_url(access.redis_url(product.data).reveal())

    async def trimmed() -> bool:
        return not any([await client.xlen(streams.stream(shard)) for shard in range(8)])

    # The spooled message is counted; it goes from its stream as all do, within about a minute.
    await until(trimmed)
    await client.aclose()
    assert await here.held() == []
    assert MARKERS.in_files(product.data, but=("postgres", "redis", "run")) == []
    assert json.dumps(done).find(HASH) < 0

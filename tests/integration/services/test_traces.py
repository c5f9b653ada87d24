"""Traces from the gateway through query-service to SQL, in a collector that speaks OTLP (ADR 0036)."""

import asyncio
import os
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.testing import capture_logs
from yarl import URL

from postmeter.shared.apis.documents import exports
from postmeter.shared.apis.endpoint import Service
from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError
from postmeter.shared.process import spans, trace_setting
from postmeter.shared.process.settings import TraceSettings
from postmeter.shared.storage import sql
from tests.integration import tracking_service
from tests.integration.collector import Collector, collecting
from tests.integration.running_gateway import TOKEN_KEYS, Talk, bearer, client, gateway, raw_service, service
from tests.integration.running_query import INTERNAL, workspaces
from tests.integration.traced_product import traced
from tests.product import PATIENCE, free_port

ROOT = Path(__file__).parents[3]
FOLDERS = ("gateway", "query-service", "shared", "aggregator", "tracking-service", "cli")
SQL_FILES = sorted(
    file for folder in FOLDERS for file in (ROOT / folder).rglob("*.sql") if "migrations" not in file.parts
)
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "20"}
"""Milliseconds that spans wait."""
STRANGER = "a" * 32
STRANGERS = {"traceparent": f"00-{STRANGER}-{'b' * 16}-01", "tracestate": "mark=er", "baggage": "marker=1"}
"""What somebody sends who has a trace of his own, and wants it recorded."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collecting() as (collector, url):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        yield collector


def queries() -> Iterator[tuple[str, str]]:
    """(name, statement) of each query that there is."""
    for file in SQL_FILES:
        package = ".".join(file.parent.parts[file.parts.index("postmeter", len(ROOT.parts)) :])
        found = sql.Queries(package, file.name)
        yield from ((name, found[name]) for name in found.names())


async def test_a_query_is_one_tree_that_tells_nothing_of_what_was_asked(
    postgres_dsn: str, redis_url: str, tmp_path: Path, collector: Collector
) -> None:
    mark = "marker"
    headers = {"User-Agent": mark, "X-Forwarded-For": "6.6.6.6", **STRANGERS}
    body = {"metrics": ["sent"], "dimensions": ["campaign"], "filters": {"campaign": [f"{mark}@shop.example"]}}
    async with traced(postgres_dsn, redis_url, tmp_path) as at:
        status, request_id = await at.ask("POST", f"/v1/query?{mark}=1", json=body, headers=headers)
        assert status == 200
        asked = await collector.requests(request_id)
        (root, inner), (looked_up,) = asked, [one for one in collector.below(asked[0]) if one is not asked[1]]
        version, *statements = collector.below(inner)
        assert (root.service, root.name, root.kind) == ("postmeter-gateway", "POST /v1/query", "SPAN_KIND_SERVER")
        assert (inner.service, inner.name, inner.kind) == ("postmeter-query", "POST /v1/query", "SPAN_KIND_SERVER")
        assert (version.name, version.kind) == ("versions", "SPAN_KIND_CLIENT")
        # What days count that are settled, and what came since (ADR 0067).
        assert [one.name for one in statements] == ["first_unsettled", "with_days", "with_days"]
        assert {one.kind for one in statements} == {"SPAN_KIND_CLIENT"}
        assert (looked_up.name, looked_up.service) == ("key", "postmeter-gateway")
        assert {one.trace for one in (root, inner, version, *statements, looked_up)} == {root.trace}
        # A stranger's trace is linked to, and not joined.
        assert (root.parent, root.links, inner.parent) == ("", [STRANGER], root.id)
        told = {
            "http.request.method": "POST",
            "http.route": "/v1/query",
            "http.response.status_code": 200,
            "postmeter.request_id": request_id,
            "postmeter.workspace": "the-shop",
        }
        assert root.attributes == inner.attributes == told
        assert all(one.attributes == {"db.system.name": "postgresql"} for one in (*statements, looked_up))
        for name in ("query", "gateway"):
            exemplar = f'{{request_id="{request_id}",trace_id="{root.trace}"}}'
            assert exemplar in await at.metrics(name), name

        # What is wrong with a request is in its answer and not in its trace.
        status, request_id = await at.ask("POST", "/v1/query", json={"metrics": [mark]})
        for span in await collector.requests(request_id):
            assert (span.attributes["http.response.status_code"], span.failed, span.links) == (status, False, [])
        assert status == 400
        _, request_id = await at.ask("GET", f"/v1/messages/{uuid.uuid4()}?{mark}=2")
        found = await collector.requests(request_id)
        assert [span.name for span in found] == ["GET /v1/messages/{id}"] * 2
        assert {one.name for one in collector.below(found[1])} <= set(dict(queries()))
        status, request_id = await at.ask("GET", "/v1/campaigns", headers={"Authorization": f"Bearer {mark}"})
        (refused,) = await collector.requests(request_id, 1)
        assert (status, refused.attributes["http.response.status_code"]) == (401, 401)

        # Nor does query-service join a trace, or begin one, for somebody who is not the gateway.
        for path in ("/v1/campaigns", exports.DOWNLOAD_PATH.replace("{", "").replace("}", "")):
            async with at.session.get(at.query_url + path, headers=STRANGERS) as answer:
                assert answer.status in (401, 403)
    assert {span.trace for span in collector.spans}.isdisjoint({STRANGER})
    assert len([span for span in collector.spans if not span.parent]) == 4
    for secret in (mark, at.key, "6.6.6.6", "shop.example", "Bearer"):
        assert secret.encode() not in collector.raw


async def test_a_statement_that_fails_is_seen_in_the_trace_and_its_log(
    postgres_dsn: str, redis_url: str, tmp_path: Path, collector: Collector
) -> None:
    owner = await asyncpg.connect(postgres_dsn)
    await owner.execute("ALTER TABLE campaign RENAME TO elsewhere")
    await owner.close()
    async with traced(postgres_dsn, redis_url, tmp_path) as at:
        with capture_logs(processors=[merge_contextvars]) as lines:
            status, request_id = await at.ask("GET", "/v1/campaigns")
        root, inner = await collector.requests(request_id)
        _, statement = collector.below(inner)  # after that of the workspace's version
    assert status == 500
    assert [(span.failed, span.attributes["error.type"]) for span in (root, inner)] == [(True, "500")] * 2
    assert (statement.name, statement.failed) == ("list_campaigns", True)
    assert statement.attributes["error.type"] == "UndefinedTableError"
    assert statement.attributes["db.response.status_code"] == "42P01"
    (line,) = [line for line in lines if line["event"] == "a request failed"]
    assert (line["trace_id"], line["request_id"]) == (root.trace, request_id)


async def test_no_hit_is_traced_on_any_port_and_nothing_else_that_query_service_does_not_answer(
    postgres_dsn: str, redis_url: str, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTMETER_TRACES", "true")  # of tracking-service, too, as in one ConfigMap for all
    tracking = await asyncio.to_thread(tracking_service.Service, redis_url, tmp_path / "spool")
    message = tracking_service.new_message()
    url = "https://shop.example/"
    hits = [
        ("GET", tracking_service.open_target(message)),
        ("HEAD", tracking_service.open_target(message)),
        ("GET", tracking_service.click_target(message, url, f"url={url}")),
        ("GET", "/api/v1/track/open/forged"),
    ]
    others = {(one.method, re.sub(r"\{\w+\}", "x", one.path)) for one in ENDPOINTS if one.service is not Service.QUERY}
    assert len(others) > 15
    ports: dict[str, Any] = {
        "redis_url": Secret(redis_url),
        "token_keys": TOKEN_KEYS,
        "tracking_url": f"http://127.0.0.1:{tracking.port}",
    }
    try:
        async with traced(postgres_dsn, redis_url, tmp_path, **ports) as at:
            for method, path in (*hits, *sorted(others), ("GET", "/nowhere"), ("PUT", "/v1/query")):
                for base in (at.url, f"http://127.0.0.1:{tracking.port}"):
                    data = b"{}" if method != "GET" else None
                    target = URL(base + path, encoded=True)
                    headers = bearer(at.key) | STRANGERS | {"Content-Type": "application/json"}
                    async with at.session.request(
                        method, target, headers=headers, allow_redirects=False, data=data
                    ) as answer:
                        assert answer.status < 500 or answer.status == 503, (method, path)
            status, request_id = await at.ask("GET", "/v1/campaigns")
            assert status == 200
            last = await collector.requests(request_id)
            assert tracking.recorded("open") == 2
            assert tracking.recorded("click") == 2
    finally:
        assert await asyncio.to_thread(tracking.terminate) == 0
    servers = [span for span in collector.spans if span.kind == "SPAN_KIND_SERVER"]
    assert {span.id for span in servers} == {span.id for span in last}
    assert {span.service for span in collector.spans} == {"postmeter-gateway", "postmeter-query"}


async def test_whether_a_request_is_recorded_is_the_gateways_decision(
    postgres_dsn: str, redis_url: str, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> None:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")

    async with traced(postgres_dsn, redis_url, tmp_path, then=none) as at:
        for _ in range(3):
            status, request_id = await at.ask("GET", "/v1/campaigns", headers=STRANGERS)
            assert status == 200
        for name in ("query", "gateway"):
            text = await at.metrics(name)
            assert f'{{request_id="{request_id}"}}' in text
            assert "trace_id" not in text
    assert collector.spans == []


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n")
    while True:
        writer.write(bytes(65536))
        await writer.drain()


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\xff\x00 \x1b[31mmarker\r\n: :\r\n\r\n")
    writer.close()


async def refused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.1 400 \x1b[31mmarker\r\nContent-Length: 9\r\n\r\n{"a": [[[')
    writer.close()


@pytest.mark.parametrize("talk", [None, silent, endless, garbage, refused])
async def test_a_collector_that_fails_costs_spans_and_no_answer(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, talk: Talk | None
) -> None:
    monkeypatch.setattr(spans, "STOP_SECONDS", 0.1)
    for name, value in {"MAX_QUEUE_SIZE": "4", "MAX_EXPORT_BATCH_SIZE": "2"}.items():
        monkeypatch.setenv(f"OTEL_BSP_{name}", value)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100000")
    called = asyncio.Semaphore(0)

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({})

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.release()
        assert talk is not None
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async with raw_service(count) as url, service(answer) as query_url, workspaces(postgres_dsn) as here:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url if talk else f"http://127.0.0.1:{free_port()}")
        key = await here.key(await here.workspace())
        with capture_logs(processors=[merge_contextvars]) as lines, bound_contextvars(service="gateway"):
            async with gateway(postgres_dsn, query_url=query_url, traces=True) as at, client() as session:

                async def ask() -> None:
                    async with session.get(f"{at}/v1/campaigns", headers=bearer(key)) as answer:
                        assert answer.status == 200

                for _ in range(20):
                    await ask()
                async with asyncio.timeout(PATIENCE):
                    if talk is not None:
                        await called.acquire()
                    if talk is endless:  # whose first answer is not waited for to the end
                        await ask()
                        await called.acquire()
            stuck = [thread for thread in threading.enumerate() if thread.name == "postmeter-last-spans"]
    if talk is silent:
        # The service has stopped, and the collector has not yet said a word.
        assert stuck
    said = [line for line in lines if line["event"] == "the collector of traces fails"]
    assert said or talk in (silent, endless)
    assert [line for line in said if line["service"] != "gateway" or "trace_id" in line] == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "OTEL_EXPORTER_OTLP_ENDPOINT takes http"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT takes http"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL takes http/protobuf, not 'grpc'"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "OTEL.*timeout value 'soon'"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "OTEL.*Header format invalid"),
        ("OTEL_TRACES_SAMPLER", "some", "OTEL.*sampler some"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many", "OTEL_BSP_MAX_QUEUE_SIZE"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1", "OTEL.*less than or equal to max_queue_size"),
    ],
)
async def test_a_wrong_setting_of_opentelemetry_ends_the_service_and_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said) as refused:
        trace_setting.of(TraceSettings(traces=True), "gateway")
    assert "secret" not in str(refused.value)


ALONE = """
import sys
from postmeter.gateway import service
from postmeter.shared.process import trace_setting, traces
from postmeter.shared.process.settings import TraceSettings
assert trace_setting.of(TraceSettings(), "gateway") is traces.OFF
# redis-py loads OpenTelemetry's metrics wherever they are installed, and uses them nowhere.
ours = "postmeter.shared.process.spans"
parts = (ours, "opentelemetry.sdk.trace", "opentelemetry.exporter", "google.protobuf", "requests")
print([name for name in sys.modules if name.startswith(parts)], flush=True)
sys.modules["opentelemetry"] = None
service.main()
"""


def test_off_nothing_of_it_is_loaded_and_on_without_the_extra_says_what_to_install() -> None:
    environ = {
        **os.environ,
        "POSTMETER_POSTGRES_DSN": "postgresql://127.0.0.1:1/d",
        "POSTMETER_REDIS_URL": "redis://127.0.0.1:1",
        "POSTMETER_INTERNAL_SECRET": INTERNAL.reveal(),
        "POSTMETER_KEY_PEPPER": "p",
        "POSTMETER_TRACKING_URL": "http://127.0.0.1:1",
        "POSTMETER_QUERY_URL": "http://127.0.0.1:1",
        "POSTMETER_TRACES": "true",
    }
    done = subprocess.run([sys.executable, "-c", ALONE], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
    assert done.stderr.startswith("postmeter gateway: POSTMETER_TRACES needs `pip install 'postmeter[traces]'`")
    assert done.returncode == 1


def test_a_statement_is_called_by_its_querys_name() -> None:
    named = list(queries())
    assert len(named) > 100
    assert [name for name, statement in named if sql.name_of(statement) != name] == []
    assert [sql.name_of(other) for other in ("BEGIN;", "", "/* x", "SELECT 1 /* x */")] == [""] * 4

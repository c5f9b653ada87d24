"""Hostile queries to every endpoint, through the real gateway (hostile-input.md 18, 25-39): a clear error in the
envelope of the document whose path was called, or the answer; never a 5xx, never a traceback.

The values go over the endpoint table and its structs, so that a new endpoint or parameter is tried as well.
"""

import gzip
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, get_args

import msgspec
import pytest
import pytest_asyncio
from yarl import URL

from postmeter.shared.apis.document import NATIVE, Document
from postmeter.shared.apis.documents import misar, vectis, workspaces
from postmeter.shared.apis.endpoint import Endpoint, Service
from postmeter.shared.apis.table import ENDPOINTS, document_of
from tests.integration.endpoint_requests import OURS, get
from tests.integration.two_tenants import TwoTenants, isolated_town

LONG = "9" * 5000
ANYWHERE = (
    "",
    "%00",
    "%ff%fe",
    "%ed%a0%80",
    "%c0%ae%c0%ae",
    "a%0d%0aSet-Cookie:%20x=1",
    "%F0%9F%92%A9",
    "%E2%80%AE",
    "null",
    "1;SELECT%20pg_sleep(9)--",
    "'%3B%20DROP%20TABLE%20message%3B--",
    "%22%27%60%5C%25_",
    "..%2f..%2fetc%2fpasswd",
    "%7B%7D",
    "-1",
    "0",
    "NaN",
    "1e400",
    LONG,
)
"""Written as in a URL."""
NUMBERS = ("-1", "0", "abc", "", "1.5", "1e3", "0x10", "%D9%A3", "+", "--1")
CAPPED = ("1000000000", "101", LONG)
NAIVE = "2025-05-01T00:00:00"
TIMES = (
    "0000-01-01",
    "9999-12-31",
    "2025-02-29",
    "2025-13-01",
    NAIVE,
    "2025-05-01T00:00:60Z",
    "2025-05-01T24:00:01Z",
    "2025-05-01T00:00:00%2B99:00",
    "2025-05-01T00:00:00Europe/Berlin",
    "20250501",
    "1746057600",
    "now()",
    "yesterday",
    "%D9%A2%D9%A0%D9%A2%D9%A5-05-01",
    "",
)
ZONES = ("../../etc/passwd", "Mars/Olympus", "localtime", "%2B99:00", "%2B05:07", "", "UTC;--", "posixrules", "Factory")
BODY_VALUES: tuple[Any, ...] = (None, -1, 10**30, 1.5, True, "", "x\0", "' OR 1=1--", [], [[]], [None], {}, {"a": [1]})
RAW_BODIES = {
    "empty": b"",
    "cut off": b'{"metrics":["sent"',
    "deep list": b"[" * 30_000,
    "deep object": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep in a field": b'{"metrics":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "not a number": b'{"metrics":["sent"],"limit":NaN,"campaign_ids":NaN,"status":NaN,"id":NaN}',
    "beyond a float": b'{"metrics":["sent"],"limit":1e400,"campaign_ids":1e400,"status":1e400,"id":1e400}',
    "digits": b'{"metrics":["sent"],"limit":' + b"9" * 50_000 + b"}",
    "bytes": b'{"metrics":["\xff\xfe"]}',
    "surrogate": b'{"metrics":["\\ud800"],"campaign_ids":["\\ud800"],"name":"\\ud800"}',
    "null": b"null",
    "text": b'"x"',
}
Vectis = vectis.DOCUMENT
KNOWN = {"workspaceId": f"ws-{OURS}", "campaignId": f"cmp-{OURS}", "id": f"cmp-{OURS}"}
DOUBT = re.compile(r"Traceback|asyncpg|syntax error at|site-packages|\.py\b|relation \"|pg_catalog", re.IGNORECASE)
ASKED = [endpoint for endpoint in ENDPOINTS if endpoint.service is Service.QUERY and not endpoint.streams]
KEYED = [endpoint for endpoint in ASKED if endpoint.scope is not None]
BODIES = [endpoint for endpoint in ENDPOINTS if endpoint.scope is not None and endpoint.max_body]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(
    shared_postgres_dsn: str, shared_redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[TwoTenants]:
    """One for all: to start it takes longer than most of these tests, and they are about what harms nobody."""
    async with isolated_town(shared_postgres_dsn, shared_redis_url, tmp_path_factory.mktemp("town")) as made:
        yield made


in_town = pytest.mark.asyncio(loop_scope="module")


def path_of(endpoint: Endpoint) -> str:
    """The endpoint's path about what the caller has."""
    return re.sub(r"\{(\w+)\}", lambda match: KNOWN.get(match[1], "x"), endpoint.path)


def path_in(town: TwoTenants, endpoint: Endpoint) -> str:
    """`path_of`, about the caller's source or user where it is about one."""
    path = path_of(endpoint).replace(f"/v1/sources/{KNOWN['id']}", f"/v1/sources/{town.ids[OURS].source}")
    return path.replace(f"/v1/users/{KNOWN['id']}", f"/v1/users/{town.ids[OURS].user}")


def is_error_of(document: Document, answer: Any) -> bool:
    """Whether an answer is an error in exactly the document's envelope."""
    match document:
        case misar.DOCUMENT:
            return list(answer) == ["success", "error", "error_type"] and bool(answer["error"] and answer["error_type"])
        case vectis.DOCUMENT:
            shape = ["error", "meta"]
        case workspaces.DOCUMENT:
            shape = ["success", "error"]
        case _:
            shape = ["error"]
    inner = answer.get("error")
    fields = [["code", "message"]] + ([["code", "message", "field"]] if document is NATIVE else [])
    return list(answer) == shape and list(inner) in fields and bool(inner["code"] and inner["message"])


async def check(
    town: TwoTenants, method: str, target: str, document: Document, *, data: bytes | None = None, gzipped: bool = False
) -> tuple[int, Any]:
    """(status, answer) of a request that has got an answer or a clear error."""
    headers = {"Authorization": f"Bearer {town.keys['super_admin']}"}
    if data is not None:
        headers["Content-Type"] = "application/json"
    if gzipped:
        headers["Content-Encoding"] = "gzip"
    url = URL(town.url + target, encoded=True)
    async with town.session.request(method, url, headers=headers, data=data, allow_redirects=False) as response:
        text = (await response.read()).decode()
    case = f"{method} {target[:200]} {(data or b'')[:200]!r}: {response.status} {text[:300]}"
    assert response.status < 500, case
    assert not DOUBT.search(text), case
    assert "Set-Cookie" not in response.headers, case
    answer = json.loads(text)
    assert response.status in (200, 201, 202) or is_error_of(document, answer), case
    return response.status, answer


def parameters() -> Iterator[tuple[Endpoint, str]]:
    for endpoint in KEYED:
        if endpoint.parameters is not None:
            for field in msgspec.structs.fields(endpoint.parameters):
                yield endpoint, field.encode_name


def enumerated(endpoint: Endpoint, name: str) -> bool:
    """Whether the OpenAPI document lists the values that a parameter takes."""
    return '"enum"' in json.dumps(_schema(endpoint, name))


def _schema(endpoint: Endpoint, name: str) -> Any:
    _, components = msgspec.json.schema_components([endpoint.parameters])
    found = [component["properties"] for component in components.values() if name in component.get("properties", {})]
    return found[0][name]


FALLS_BACK = ("/api/v1/mail/stats", "period")
"""Krafter: "Other values fall back to 7d"."""


def expectations(endpoint: Endpoint, name: str) -> Iterator[tuple[str, bool]]:
    """(value as in a URL, whether it must be an error) of a parameter."""
    if name in ("page", "limit", "days"):
        yield from ((value, True) for value in NUMBERS)
        yield from ((value, False) for value in CAPPED)
    elif name in ("from", "to", "startDate", "endDate", "start_date", "end_date"):
        # Misar takes a time without a zone as UTC.
        yield from ((value, value != NAIVE or endpoint.document is not misar.DOCUMENT) for value in TIMES)
    elif name == "timezone":
        yield from ((value, True) for value in ZONES)
    must = enumerated(endpoint, name) and (endpoint.path, name) != FALLS_BACK
    yield from ((value, must or value == "%00") for value in ANYWHERE)


@pytest.mark.parametrize(("endpoint", "name"), list(parameters()), ids=lambda value: getattr(value, "path", value))
def test_every_parameter_has_values_that_must_be_refused(endpoint: Endpoint, name: str) -> None:
    assert any(must for _, must in expectations(endpoint, name))


EVERYTHING = [
    get(path)
    for path in ("/v1/messages", "/v1/campaigns", "/v1/metrics", "/v1/metrics/breakdown", "/api/v1/mail/stats")
]


@in_town
async def test_nothing_was_harmed(town: TwoTenants) -> None:
    """29 SQL everywhere: what was there before is there afterwards.

    Before the tests that write, for what they wrote is counted a little later.
    """
    before = [await town.raw(town.keys["super_admin"], request) for request in EVERYTHING]
    for endpoint, name in parameters():
        for value in ("'%3B%20DROP%20TABLE%20message%3B--", "x')%3B%20DELETE%20FROM%20campaign%3B--"):
            await check(town, endpoint.method, f"{path_of(endpoint)}?{name}={value}", endpoint.document)
    values: tuple[Any, ...] = (
        "sent; DROP TABLE series",
        ["sent) FROM api_key --"],
        {"campaign": ["'; DELETE FROM message --"]},
    )
    for name in fields_of(next(e for e in BODIES if e.path == "/v1/query")):
        for hostile in values:
            data = json.dumps({"metrics": ["sent"], name: hostile}).encode()
            await check(town, "POST", "/v1/query", NATIVE, data=data)
    after = [await town.raw(town.keys["super_admin"], request) for request in EVERYTHING]
    assert [body for _, _, body in before] == [body for _, _, body in after]


@in_town
async def test_no_parameter_breaks_an_endpoint(town: TwoTenants) -> None:
    tried = 0
    for endpoint, name in parameters():
        # Vectis's granularity is only looked at beside a domain.
        beside = f"domain_id={town.ids[OURS].domain}&" if name == "granularity" and endpoint.document is Vectis else ""
        for value, must_fail in expectations(endpoint, name):
            target = f"{path_of(endpoint)}?{beside}{name}={value}"
            status, answer = await check(town, endpoint.method, target, endpoint.document)
            assert 400 <= status < 500 or not must_fail, (target, answer)
            tried += 1
        twice = f"{path_of(endpoint)}?{beside}{name}=7d&{name}=7d"
        status, answer = await check(town, "GET", twice, endpoint.document)
        assert status == 400, (endpoint.path, name, answer)  # one of the two would silently not count
    assert tried > 500


@in_town
async def test_no_path_breaks_an_endpoint(town: TwoTenants) -> None:
    for endpoint in (e for e in KEYED if "{" in e.path):
        for placeholder in re.findall(r"\{\w+\}", endpoint.path):
            for value in (*ANYWHERE, "..", "%2e%2e", ".", "a%2fb", "a%5cb"):
                target = re.sub(r"\{(\w+)\}", lambda m: KNOWN.get(m[1], "x"), endpoint.path.replace(placeholder, value))
                data = b'{"campaign_ids":["a","b"],"export_type":"messages"}' if endpoint.max_body else None
                document = document_of(URL(target, encoded=True).path, endpoint.method)
                status, answer = await check(town, endpoint.method, target, document, data=data)
                assert 400 <= status < 500, (target, answer)


@in_town
async def test_a_query_too_long_is_refused_by_every_document(town: TwoTenants) -> None:
    for endpoint in KEYED:
        target = f"{path_of(endpoint)}?x={'a' * 65536}"
        assert (await check(town, endpoint.method, target, endpoint.document))[0] == 414, endpoint.path


def fields_of(endpoint: Endpoint) -> list[str]:
    """The fields of all structs that a body may be."""
    kinds, found = [endpoint.body], set()
    while kinds:
        kind = kinds.pop()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            found |= {field.encode_name for field in msgspec.structs.fields(kind)}
        else:
            kinds += get_args(kind)
    return sorted(found)


GOOD: dict[str, dict[str, Any]] = {
    "/v1/query": {"metrics": ["sent"]},
    "/v1/messages/search": {"engagement": "opened"},
    "/v1/messages": {"from_address": f"a@{OURS}.example", "to": "b@c.example"},
    "/v1/events": {"events": [{"type": "received", "domain": f"{OURS}.example"}]},
    "/v1/campaigns/{id}": {"name": "x"},
    "/v1/sources": {"provider": "postmark"},
    "/v1/sources/{id}": {"name": "x"},
    "/v1/users": {"email": "a@c.example", "role": "viewer"},
    "/v1/users/{id}": {"role": "viewer"},
    "/v1/keys": {"role": "member", "scopes": ["track"]},
    "/v1/verdicts": {"early_seconds": 3},
    "/v1/privacy": {"unknown": {"opens": "pseudonymous"}},
    "/v1/recipients/consent": {"to": "a@c.example", "opens": "granted"},
    "/v1/recipients/export": {"to": "nobody@c.example"},
    "/v1/recipients/erase": {"to": "nobody@c.example"},
    "/v1/sending-ips": {"ips": ["9.9.9.8"]},
    "/api/v1/track/event": {"event_name": "x", "contact_email": "a@c.example"},
    "/api/v1/track/purchase": {"contact_email": "a@c.example", "amount": 1, "currency": "EUR"},
    "/mail/v1/track/event": {"event_name": "x", "contact_email": "a@c.example"},
    "/mail/v1/track/purchase": {"contact_email": "a@c.example", "amount": 1, "currency": "EUR"},
    "/api/v1/workspaces/{workspaceId}/analytics/compare": {"campaign_ids": [f"cmp-{OURS}", f"cmp-{OURS}-b"]},
    "/api/v1/workspaces/{workspaceId}/analytics/export": {"export_type": "messages"},
}


@pytest.mark.parametrize("endpoint", BODIES, ids=lambda e: e.path)
def test_every_body_has_a_good_one(endpoint: Endpoint) -> None:
    assert endpoint.path in GOOD


@in_town
async def test_no_field_of_a_body_breaks_an_endpoint(town: TwoTenants) -> None:
    for endpoint in BODIES:
        good = GOOD[endpoint.path]
        status, _ = await check(
            town, endpoint.method, path_in(town, endpoint), endpoint.document, data=json.dumps(good).encode()
        )
        assert status in (200, 201, 202), endpoint.path
        for name in fields_of(endpoint):
            for value in BODY_VALUES:
                data = json.dumps({**good, name: value}).encode()
                status, answer = await check(
                    town, endpoint.method, path_in(town, endpoint), endpoint.document, data=data
                )
                wrong = isinstance(value, dict) or value == [[]] or value == 10**30
                refused = 400 <= status < 500 or bool(answer.get("rejected"))
                allowed = isinstance(value, dict) and name in ("filters", "properties", "options", "tracking")
                allowed = allowed or (endpoint.path == "/v1/privacy" and value == {}) or name.startswith("workspace")
                assert refused or not wrong or allowed, (endpoint.path, name, value, answer)


@in_town
async def test_no_body_breaks_an_endpoint(town: TwoTenants) -> None:
    bomb = gzip.compress(b"[" + b"1," * (24 << 20) + b"1]")
    assert len(bomb) < 64 * 1024
    for endpoint in BODIES:
        for data in RAW_BODIES.values():
            status, answer = await check(town, endpoint.method, path_in(town, endpoint), endpoint.document, data=data)
            assert status in (400, 413, 422), (endpoint.path, data[:40], answer)
        keys = b"{" + b",".join(b'"%d":1' % n for n in range(10**6)) + b"}"
        assert (await check(town, endpoint.method, path_in(town, endpoint), endpoint.document, data=keys))[0] in (
            400,
            413,
            422,
        )
        target = path_in(town, endpoint)
        status, _ = await check(town, endpoint.method, target, endpoint.document, data=bomb, gzipped=True)
        assert status == 413, endpoint.path
        status, _ = await check(town, endpoint.method, target, endpoint.document, data=b"\x1f\x8bno", gzipped=True)
        assert status == 400, endpoint.path


RANGES = {
    "/v1/metrics": ("from", "to"),
    "/v1/metrics/breakdown": ("from", "to"),
    "/v1/metrics/summary": ("from", "to"),
    "/api/v1/analytics/overview": ("from", "to"),
    "/mail/v1/analytics": ("start_date", "end_date"),
    "/api/v1/workspaces/{workspaceId}/campaigns/{campaignId}/analytics": ("startDate", "endDate"),
    "/api/v1/workspaces/{workspaceId}/analytics/overview": ("startDate", "endDate"),
}


def test_every_endpoint_with_a_range_is_known() -> None:
    named = {endpoint.path for endpoint, name in parameters() if name in ("from", "startDate", "start_date")}
    assert named == set(RANGES)


@in_town
@pytest.mark.parametrize("path", RANGES)
async def test_ranges(town: TwoTenants, path: str) -> None:
    """34 from > to: an error; from = to: nothing. 35 a span of centuries: an error that names the maximum."""
    endpoint = next(e for e in KEYED if e.path == path)
    start, end = RANGES[path]

    async def ask(first: str, last: str) -> tuple[int, Any]:
        target = f"{path_of(endpoint)}?{start}={first}&{end}={last}"
        return await check(town, "GET", target, endpoint.document)

    code = "error_type" if endpoint.document is misar.DOCUMENT else "code"
    status, answer = await ask("2026-02-02", "2026-02-01")
    error = answer if endpoint.document is misar.DOCUMENT else answer["error"]
    assert (status, error[code].startswith("INVALID_")) == (400, True)
    status, answer = await ask("2026-02-01T10:00:00Z", "2026-02-01T10:00:00Z")
    assert status == 200
    assert not re.search(r'"[a-zA-Z_]*(sen[dt]s?|delivered)": [1-9]', json.dumps(answer), re.IGNORECASE)
    status, answer = await ask("2001-01-01", "2099-12-31")
    message = answer["error"] if endpoint.document is misar.DOCUMENT else answer["error"]["message"]
    assert (status, bool(re.search(r"\d+ (days|years)", message))) == (400, True), message

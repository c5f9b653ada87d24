"""Random keys against ids of other tenants, over every endpoint of the table: nothing leaks, not by status, shape,
or the work that is done (hostile-input.md 30-32).
"""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from postmeter.shared.apis.table import ENDPOINTS
from tests.integration.endpoint_requests import (
    FIELDS,
    NOBODY,
    OURS,
    REQUESTS,
    SECOND,
    SIBLING,
    THEIRS,
    Build,
    Ids,
    Request,
    get,
    named,
)
from tests.integration.two_tenants import TwoTenants, isolated_town

VOLATILE = (
    (r'"request_id":"[^"]*","timestamp":"[^"]*"', "META"),
    (r"exp_[A-Za-z0-9_-]{8,}", "EXPORT"),
    (r"evt_[A-Za-z0-9_-]+", "EVENT"),
    (r'"estimated_completion":"[^"]*"', "SOON"),
    (r'"to_hash":"[0-9a-f]{64}"', "HASH"),
    (r"/(api/v1/track/(open|click|unsubscribe)|v1/preferences)/[A-Za-z0-9_-]+", "TOKEN"),
)
KEYS = ("super_admin", "admin", "member", "confined", "confined to none", "confined to another tenant's")
READS = {(e.method, e.path) for e in ENDPOINTS if e.method == "GET" or e.repeatable}
WRITES = {(e.method, e.path) for e in ENDPOINTS} - READS
PUBLIC = {(e.method, e.path) for e in ENDPOINTS if e.is_public}
DOWNLOAD = "/api/v1/workspaces/{workspaceId}/analytics/exports/{exportId}/download"
HEADERS_OF_ONE = {"Date", "X-Request-ID", "RateLimit", "RateLimit-Remaining", "RateLimit-Reset"}


@pytest.fixture
async def town(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[TwoTenants]:
    async with isolated_town(postgres_dsn, redis_url, tmp_path) as made:
        yield made


@pytest.fixture
async def asked_anew(postgres_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[TwoTenants]:
    """Without kept answers: of one that is kept nobody sees the work."""
    async with isolated_town(postgres_dsn, redis_url, tmp_path, answer_cache=0) as made:
        yield made


def test_every_endpoint_of_the_table_is_asked() -> None:
    assert {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS} - PUBLIC == set(REQUESTS)


def builds(left_out: set[tuple[str, str]] | None = None) -> Iterator[tuple[str, Build]]:
    for (method, path), requests in REQUESTS.items():
        if left_out and (method, path) in left_out:
            continue
        for build in requests:
            yield f"{method} {path}", build


async def seen(
    town: TwoTenants, key: str | None, request: Request, ids: Ids
) -> tuple[int, dict[str, str], str, list[str]]:
    """Status, headers, body and SQL statements, with what the request named taken out of them."""
    town.statements.clear()
    status, headers, body = await town.raw(key, request)
    for pattern, name in VOLATILE:
        body = re.sub(pattern, name, body)
    body = body.replace(SECOND, "<second>")
    for field in FIELDS:
        if getattr(ids, field):
            body = body.replace(getattr(ids, field), f"<{field}>").replace(ids.mark.upper(), "<MARK>")
    kept = {name: value for name, value in headers.items() if name not in HEADERS_OF_ONE}
    return status, kept, body, sorted(town.statements)


async def test_a_caller_s_own_ids_are_answered(town: TwoTenants) -> None:
    """Else the other tests would compare refusals that have nothing to do with whose an id is."""
    for name, build in builds():
        status, _, body = await town.raw(town.keys["super_admin"], build(town.ids[OURS]))
        assert status in (200, 201, 202, 204), f"{name}: {status} {body}"


async def test_another_tenant_s_id_is_one_that_does_not_exist(asked_anew: TwoTenants) -> None:
    town = asked_anew
    own, nobody = town.ids[OURS], town.ids[NOBODY]
    for _, build in builds(WRITES):  # what a process looks up once makes no difference
        await town.raw(town.keys["admin"], build(own))
    compared = 0
    for left_out in (WRITES, READS):  # writes last: what they change is in later answers, whoever asks
        for key in (*KEYS, "without scopes"):
            for name, build in builds(left_out):
                for field in named(build, own, nobody):
                    compared += await compare(town, key, name, build, field)
    assert compared > 100


async def compare(town: TwoTenants, key: str, name: str, build: Build, field: str) -> int:
    """How many ids of others were answered as one that nobody has."""
    own, compared = town.ids[OURS], 0
    for mark in (NOBODY, THEIRS, SIBLING):  # a write that was made before is answered as a repetition
        await seen_as(town, key, build, own, town.ids[mark], field)
    expected = await seen_as(town, key, build, own, town.ids[NOBODY], field)
    # To a domain_admin its own tenant's other domains are no more than another tenant's.
    for mark in (THEIRS, SIBLING) if key.startswith("confined") else (THEIRS,):
        other = town.ids[mark]
        if getattr(other, field) != getattr(own, field):
            assert await seen_as(town, key, build, own, other, field) == expected, (key, name, field)
            compared += 1
    return compared


async def seen_as(
    town: TwoTenants, key: str, build: Build, own: Ids, other: Ids, field: str
) -> tuple[int, dict[str, str], str, list[str]]:
    """What a key sees that names its own things but for one."""
    ids = replace(own, **{field: getattr(other, field)})
    return await seen(town, town.keys[key], build(ids), ids)


def foreign_marks(key: str) -> set[str]:
    """What must never be in an answer to this key."""
    if key == "theirs":
        return {OURS, SIBLING}
    if not key.startswith("confined"):
        return {THEIRS, "zqthe2"}
    return {SIBLING, THEIRS, "zqthe2"} | ({OURS} if key != "confined" else set())


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    key=st.sampled_from([*KEYS, "theirs"]),
    row=st.sampled_from(list(builds())),
    sources=st.fixed_dictionaries({field: st.sampled_from([OURS, SIBLING, THEIRS, NOBODY]) for field in FIELDS}),
)
async def test_no_answer_holds_another_s_labels(
    town: TwoTenants, key: str, row: tuple[str, Build], sources: dict[str, str]
) -> None:
    # Whose mail is from a domain has one of that name: these requests name one of the first tenant's.
    assume(key != "theirs" or row[0] not in ("POST /v1/messages", "POST /v1/events"))
    # A campaign comes into being where it is named first: these name the tenant's own, or nobody's.
    assume(row[0] != "PUT /v1/campaigns/{id}" or sources["mark"] not in (OURS if key == "theirs" else THEIRS, SIBLING))
    ids = Ids(**{field: getattr(town.ids[source], field) for field, source in sources.items()})
    request = row[1](ids)
    _, _, body, _ = await seen(town, town.keys[key], request, ids)
    # One of the first tenant's keys is confined to a domain of the other's name: what tells of keys tells that.
    body = body.replace(f'"domains":["{THEIRS}.example"]', '"domains":[]')
    # To which workspace a key belongs it knows.
    body = body.replace(town.ids[THEIRS if key == "theirs" else OURS].workspace, "")
    for mark in foreign_marks(key) - {ids.mark}:
        assert mark not in body.lower(), (row[0], body)


async def test_public_paths_tell_nothing(town: TwoTenants) -> None:
    """They know no tenant: their links and tokens are signed, whoever has one may use it."""
    own, nobody = town.ids[THEIRS], town.ids[NOBODY]
    expires = {"expires": "4102444800", "signature": "0" * 64}
    for method, path in sorted(PUBLIC):
        answers = []
        for ids in (own, nobody):
            values = {"workspaceId": ids.workspace, "exportId": ids.export, "token": ids.mark, "provider": "sendgrid"}
            filled = path.format(**values, source=ids.mark, file="x")
            request = get(filled, **expires) if path == DOWNLOAD else Request(method, filled)
            answers.append(await seen(town, None, request, ids))
        assert answers[0] == answers[1], path
        assert THEIRS not in answers[0][2], path

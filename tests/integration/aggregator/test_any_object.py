"""Any JSON object from a caller is counted, refused or put aside; it stops no shard (hostile-input.md 51, 52, 59)."""

import json
import uuid
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.aggregation import bench
from tests.integration.tracking_service import SHARDS, WORKSPACE, Service
from tests.integration.tracking_writes import MESSAGE, SENT

NAMES = st.sampled_from(["x\0", "\ud800", "y\udfff\n", "n" * 50_000, " - at `" * 7_000, "`$.type`", "", "\u202e"])
TEXTS = NAMES | st.sampled_from(
    ["\ud83d\ude00", "person@b.example", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00"]
)
NUMBERS = st.sampled_from(
    ["1e400", "-1", "9" * 400, "1e-400", "0.1", "18446744073709551616", "-9223372036854775809", "NaN"]
)
VALUES = st.recursive(
    TEXTS.map(json.dumps) | NUMBERS | st.sampled_from(["null", "true", "[]", "{}", "[" * 900 + "]" * 900]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda found: f"[{','.join(found)}]")
        | st.lists(st.tuples(NAMES.map(json.dumps), inner), max_size=3).map(
            lambda found: "{" + ",".join(f"{name}:{value}" for name, value in found) + "}"
        )
    ),
    max_leaves=5,
)
GOOD: dict[str, dict[str, Any]] = {
    "/v1/events": SENT
    | {"reason": "why", "timestamp": "2026-04-03T12:00:00Z", "url": "https://a.example/", "ip": "192.0.2.1"}
    | {"user_agent": "A", "id": "k", "provider": "P", "provider_message_id": "p"},
    "/v1/messages": MESSAGE
    | {"subject": "s", "campaign_id": "c", "tags": ["t"], "provider_message_id": "m", "template": "t"},
    "/api/v1/track/event": {"event_name": "trial_started", "contact_email": "a@b.example", "properties": {"a": 1}},
}


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A good object with one thing wrong: a field of any name and value more, or another value of one of its own."""
    path = draw(st.sampled_from(sorted(GOOD)))
    fields = {json.dumps(name): json.dumps(value) for name, value in GOOD[path].items()}
    fields[draw(st.sampled_from(sorted(fields)) | NAMES.map(json.dumps))] = draw(VALUES)
    wrong = "{" + ",".join(f"{name}:{value}" for name, value in fields.items()) + "}"
    if path == "/v1/events":
        wrong = f'{{"events":[{json.dumps(SENT)},{wrong}]}}'
    return path, wrong.encode()


async def test_any_json_object_of_a_caller_never_stops_a_shard(
    postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    service = Service(redis_url, tmp_path / "spool")
    statuses: dict[int, int] = {}

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(bodies())
    def post(given_: tuple[str, bytes]) -> None:
        path, body = given_
        reply = service.post(path, body)
        statuses[reply.status] = statuses.get(reply.status, 0) + 1
        assert reply.status < 500, (path, body[:300])
        assert b"\\u0000" not in reply.body
        assert len(reply.body) < 10_000

    try:
        post()
        message = str(uuid.uuid4())
        for kind in ("sent", "delivered"):
            last = [{"type": kind, "message_id": message, "id": f"{kind} {n} {message}"} for n in range(4 * SHARDS)]
            assert service.post("/v1/events", {"events": last}).json()["accepted"] == 4 * SHARDS
    finally:
        service.kill()
    assert min(statuses) < 300 < 400 <= max(statuses)
    async with bench(postgres_dsn, redis_url) as at:
        async with at.aggregator(shards=SHARDS):
            await at.counted()
        rows = await at.db.fetch("SELECT workspace, reason FROM dead_letter")
    assert {row["workspace"] for row in rows} == {WORKSPACE}
    assert all(row["reason"].startswith("POST /v1/events: ") and len(row["reason"]) <= 1000 for row in rows), rows

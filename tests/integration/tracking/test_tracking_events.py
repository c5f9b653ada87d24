"""POST /v1/events: what is recorded, what is a repetition, what is refused."""

import json
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.shared.stream.records import Event, Record, Refusal, idempotency_key
from postmeter.shared.stream.streams import events_seen, slot_of, slot_of_key, slot_of_name
from postmeter.tracking.writes import events
from tests.integration.tracking_service import SHARDS, WORKSPACE, Service, batches, once
from tests.integration.tracking_writes import NDJSON, SENT, error, events_of, micros, now


@pytest.fixture(scope="module")
def service(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("tracking")
    running = Service(redis_server, folder / "spool")
    yield running
    assert running.terminate() == 0


def test_an_event_is_recorded_with_all_it_has(service: Service) -> None:
    message, at = str(uuid.uuid4()), now() - timedelta(hours=5)
    event = {
        "type": "bounced",
        "message_id": message,
        "provider": "postmark",
        "provider_message_id": "pm-9",
        "timestamp": at.isoformat(),
        "id": "evt-1",
        "bounce_type": "soft",
        "reason": "mailbox full",
        "url": "https://a.example/",
        "user_agent": "ü" * 300,
        "ip": "2001:DB8::1",
    }
    assert service.post("/v1/events", {"events": [event]}).json() == {"accepted": 1, "duplicates": 0, "rejected": []}
    (found,) = events_of(service, message)
    assert found == Event(
        at=micros(at),
        received=found.received,
        workspace=WORKSPACE,
        type=EventType.BOUNCED,
        message=uuid.UUID(message).bytes,
        provider="POSTMARK",
        provider_message="pm-9",
        key=idempotency_key(WORKSPACE, "evt-1"),
        digest=found.digest,
        bounce=BounceType.SOFT,
        reason="mailbox full",
        url="https://a.example/",
        user_agent="ü".encode() * 256,
        ip="2001:db8::1",
        domain="",
        size_bytes=0,
        spam=False,
        claimed=None,
    )


def test_a_received_mail_belongs_to_a_domain(service: Service) -> None:
    event = {"type": "received", "domain": f"In-{uuid.uuid4().hex}.Example", "size_bytes": 12345, "spam": True}
    assert service.post("/v1/events", {"events": [event]}).json()["accepted"] == 1
    (found,) = [
        one for one in once(service.redis_url) if isinstance(one, Event) and one.domain == str(event["domain"]).lower()
    ]
    assert (found.size_bytes, found.spam, found.message) == (12345, True, b"")


def test_a_repeated_event_is_a_duplicate(service: Service) -> None:
    message = str(uuid.uuid4())
    event = {"type": "sent", "message_id": message, "id": f"key of {message}"}
    assert service.post("/v1/events", {"events": [event]}).json()["accepted"] == 1
    reordered = dict(reversed(event.items()))
    outcome = service.post("/v1/events", {"events": [reordered, event]}).json()
    assert (outcome["accepted"], outcome["duplicates"]) == (0, 2)
    # It is passed on all the same: whether it counts says Postgres, which may have been set back to a copy.
    first, again = events_of(service, message)
    assert (again.key, again.digest) == (first.key, first.digest)


def test_a_repetition_within_one_request_is_a_duplicate(service: Service) -> None:
    message = str(uuid.uuid4())
    event = {"type": "sent", "message_id": message, "id": f"key of {message}"}
    outcome = service.post("/v1/events", {"events": [event, event, {**event, "type": "delivered"}]}).json()
    assert (outcome["accepted"], outcome["duplicates"]) == (1, 1)
    assert [(one["index"], one["code"]) for one in outcome["rejected"]] == [(2, "IDEMPOTENCY_CONFLICT")]
    assert len(events_of(service, message)) == 1


def test_so_many_idempotency_keys_of_a_day_are_kept(service: Service) -> None:
    """Each takes 150 bytes of what hits need, for a day: one key of an API could fill it within minutes."""
    day = int(time.time()) // events.SEEN_SECONDS
    counts = [events_seen(WORKSPACE, one) for one in (day, day + 1)]
    message = str(uuid.uuid4())
    sent = {"events": [{"type": "sent", "message_id": message, "id": f"{n} of {message}"} for n in range(2)]}
    with redis.Redis.from_url(service.redis_url) as client:
        client.mset(dict.fromkeys(counts, events.MOST_SEEN - 1))
        try:
            assert service.post("/v1/events", sent).json()["accepted"] == 2
            outcome = service.post("/v1/events", sent).json()
        finally:
            client.delete(*counts)
    # The second counts once as well, by the aggregator's own memory.
    assert (outcome["accepted"], outcome["duplicates"]) == (1, 1)


def test_48_the_same_key_with_another_event_is_a_conflict(service: Service) -> None:
    message = str(uuid.uuid4())
    event = {"type": "sent", "message_id": message, "id": f"key of {message}"}
    service.post("/v1/events", {"events": [event]})
    other = {**event, "type": "delivered"}
    reply = service.post("/v1/events", {"events": [other]})
    assert (reply.status, error(reply)["code"], error(reply)["field"]) == (409, "IDEMPOTENCY_CONFLICT", "id")
    mixed = service.post("/v1/events", {"events": [other, {"type": "sent", "message_id": message}]}).json()
    assert (mixed["accepted"], [one["code"] for one in mixed["rejected"]]) == (1, ["IDEMPOTENCY_CONFLICT"])
    assert {one.type for one in events_of(service, message)} == {EventType.SENT}


def test_all_that_is_told_of_a_message_goes_to_its_shard(service: Service) -> None:
    """By our id or by the provider's; what is of no message by its key."""
    messages = [str(uuid.uuid4()) for _ in range(40)]
    ids = {uuid.UUID(message).bytes for message in messages}
    events: list[dict[str, str]] = [{"type": "sent", "message_id": message, "id": message} for message in messages]
    events += [{"type": "delivered", "message_id": message} for message in messages]
    named = {"provider": "acme", "provider_message_id": messages[0]}
    events += [{"type": kind, "id": f"{kind} {messages[0]}", **named} for kind in ("sent", "delivered")]
    received = [f"{n} {messages[0]}" for n in range(40)]
    events += [{"type": "received", "domain": "in.example", "id": key} for key in received]
    assert service.post("/v1/events", {"events": events}).json()["accepted"] == len(events)
    found = [
        (shard, record)
        for shard, _, content in batches(service.redis_url)
        for record in content
        if isinstance(record, Event)
    ]
    of_message = {(record.message, shard) for shard, record in found if record.message in ids}
    wanted = {(one, slot_of(WORKSPACE, one) % SHARDS) for one in ids}
    assert of_message == wanted
    assert len({shard for _, shard in wanted}) == SHARDS
    of_name = {shard for shard, record in found if record.provider_message == messages[0]}
    assert of_name == {slot_of_name(WORKSPACE, "ACME", messages[0]) % SHARDS}
    keys = [idempotency_key(WORKSPACE, key) for key in received]
    by_key = {record.key: shard for shard, record in found if record.type == EventType.RECEIVED and record.key in keys}
    assert by_key == {key: slot_of_key(key) % SHARDS for key in keys}


@pytest.mark.parametrize(
    ("event", "code", "field"),
    [
        ({"type": " "}, "INVALID_FIELD", "type"),
        ({"type": "x" * 101}, "INVALID_FIELD", "type"),
        ({"type": "exploded"}, "INVALID_FIELD", "type"),
        ({}, "INVALID_FIELD", "type"),
        ({"type": "sent"}, "INVALID_FIELD", "message_id"),
        ({"type": "sent", "provider": "x"}, "INVALID_FIELD", "message_id"),
        ({"type": "sent", "message_id": "7"}, "INVALID_FIELD", "message_id"),
        ({"type": "received"}, "INVALID_FIELD", "domain"),
        ({"type": "received", "domain": "a b"}, "INVALID_FIELD", "domain"),
        ({"type": "received", "domain": "a.example", "size_bytes": -1}, "INVALID_FIELD", "size_bytes"),
        ({"type": "bounced", "message_id": str(uuid.uuid4())}, "INVALID_FIELD", "bounce_type"),
        ({**SENT, "bounce_type": "hard"}, "INVALID_FIELD", "bounce_type"),
        ({**SENT, "domain": "a.example"}, "INVALID_FIELD", "domain"),
        ({**SENT, "size_bytes": 0}, "INVALID_FIELD", "size_bytes"),
        ({**SENT, "spam": False}, "INVALID_FIELD", "spam"),
        ({**SENT, "type": "received", "domain": "a.example"}, "INVALID_FIELD", "message_id"),
        ({"type": "received", "domain": "a.example", "provider": "x"}, "INVALID_FIELD", "provider"),
        (
            {"type": "received", "domain": "a.example", "provider_message_id": "x"},
            "INVALID_FIELD",
            "provider_message_id",
        ),
        ({"type": "sent", "message_id": str(uuid.uuid4()), "ip": "1.2.3"}, "INVALID_FIELD", "ip"),
        ({"type": "sent", "message_id": str(uuid.uuid4()), "id": ""}, "INVALID_FIELD", "id"),
        ({"type": "sent", "message_id": str(uuid.uuid4()), "reason": "a\0"}, "INVALID_FIELD", "reason"),
        (
            {"type": "sent", "message_id": str(uuid.uuid4()), "timestamp": "2026-04-03T12:00:00"},
            "INVALID_FIELD",
            "timestamp",
        ),
        (
            {"type": "sent", "message_id": str(uuid.uuid4()), "timestamp": "2026-04-03T12:00:60Z"},
            "INVALID_FIELD",
            "timestamp",
        ),
    ],
)
def test_a_bad_event_is_reported_by_index(service: Service, event: dict[str, object], code: str, field: str) -> None:
    good = {"type": "received", "domain": "a.example"}
    reply = service.post("/v1/events", {"events": [good, event]})
    assert (reply.status, reply.json()["accepted"]) == (202, 1)
    (rejected,) = reply.json()["rejected"]
    assert (rejected["index"], rejected["code"], rejected["field"]) == (1, code, field)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("delivred", "unknown type 'delivred'; did you mean 'delivered'?"),
        ("Delivered", "unknown type 'Delivered'; did you mean 'delivered'?"),
        ("bounce", "unknown type 'bounce'; did you mean 'bounced'?"),
        ("open", "unknown type 'open'; did you mean 'opened'?"),
        ("unknown", "unknown type 'unknown'; known are queued, sending, sent,"),
        ("exploded", "unknown type 'exploded'; "),
        ("", "unknown type ''; known are "),
        ("x\0\x1b[31m\n", "unknown type 'x\\x00\\x1b[31m\\n'; known are "),
        ("x" * 50_000, "unknown type '" + "x" * 200 + "...'; known are "),
    ],
)
def test_a_type_that_is_none_is_refused_and_the_nearest_one_named(service: Service, given: str, said: str) -> None:
    sign = uuid.uuid4().hex
    good, bad = SENT | {"message_id": str(uuid.uuid4())}, {"reason": sign} | SENT | {"type": given}
    reply = service.post("/v1/events", {"events": [good, bad, good | {"type": "opened"}]})
    assert (reply.status, reply.json()["accepted"]) == (202, 2)
    (rejected,) = reply.json()["rejected"]
    assert (rejected["index"], rejected["code"], rejected["field"]) == (1, "INVALID_FIELD", "type")
    assert rejected["message"].startswith(f"type: {said}")
    assert len(rejected["message"]) < 500
    (refusal,) = refusals_of(service, sign)
    assert refusal.reason == rejected["message"]


@pytest.mark.parametrize(("reason", "kept"), [("no such list", "no such list"), (None, "rejected")])
def test_rejected_is_a_failure(service: Service, reason: str | None, kept: str) -> None:
    message = str(uuid.uuid4())
    event = {"type": "rejected", "message_id": message} | ({"reason": reason} if reason else {})
    assert service.post("/v1/events", {"events": [event]}).json()["accepted"] == 1
    (found,) = events_of(service, message)
    assert (found.type, found.reason) == (EventType.FAILED, kept)


def refusals_of(service: Service, sign: str) -> list[Refusal]:
    found = [record for record in once(service.redis_url) if isinstance(record, Refusal)]
    return [refusal for refusal in found if sign.encode() in refusal.body]


def test_what_cannot_be_read_is_put_aside_but_not_what_is_forbidden(service: Service) -> None:
    sign = uuid.uuid4().hex
    bad = {"type": "sent", "reason": sign}
    reply = service.post("/v1/events", {"events": [{**SENT, "reason": sign}, bad]})
    assert (reply.status, reply.json()["accepted"]) == (202, 1)
    (refusal,) = refusals_of(service, sign)
    assert (refusal.workspace, refusal.origin, json.loads(refusal.body)) == (WORKSPACE, "POST /v1/events", bad)
    assert refusal.reason == reply.json()["rejected"][0]["message"]
    confined = service.principal(domains=["a.example"], role="domain_admin")
    service.post("/v1/events", {"events": [{**SENT, "reason": sign}]}, confined)
    assert len(refusals_of(service, sign)) == 1


def test_only_so_much_of_a_request_is_put_aside(service: Service) -> None:
    sign = uuid.uuid4().hex
    bad = {"reason": sign + "x" * 10_000}
    assert len(service.post("/v1/events", {"events": [bad] * 150}).json()["rejected"]) == 150
    refusals = refusals_of(service, sign)
    assert (len(refusals), {len(refusal.body) for refusal in refusals}) == (100, {4096})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "bounce_type: is required for bounced: hard or soft"),
        ({"bounce_type": "Hard"}, "bounce_type: takes hard or soft, in lower case"),
        ({"bounce_type": ""}, "bounce_type: takes hard or soft, in lower case"),
    ],
)
def test_a_wrong_bounce_type_is_not_a_missing_one(service: Service, given: dict[str, str], message: str) -> None:
    reply = service.post("/v1/events", {"events": [{**SENT, "type": "bounced", **given}]})
    assert [one["message"] for one in reply.json()["rejected"]] == [message]


@pytest.mark.parametrize(
    ("ago", "kept"),
    [
        pytest.param(timedelta(days=729), True, id="47-almost-two-years"),
        pytest.param(timedelta(days=732), False, id="47-over-two-years"),
        pytest.param(-timedelta(minutes=59), True, id="47-almost-an-hour-ahead"),
        pytest.param(-timedelta(minutes=62), False, id="47-over-an-hour-ahead"),
        pytest.param(timedelta(days=20_000), False, id="47-1970"),
    ],
)
def test_a_time_out_of_range_counts_when_received(service: Service, ago: timedelta, kept: bool) -> None:
    message, at = str(uuid.uuid4()), now() - ago
    event = {"type": "sent", "message_id": message, "timestamp": at.isoformat()}
    service.post("/v1/events", {"events": [event]})
    (found,) = events_of(service, message)
    if kept:
        assert (found.at, found.claimed) == (micros(at), None)
    else:
        assert (found.at, found.claimed) == (found.received, micros(at))


def test_ndjson(service: Service) -> None:
    message = str(uuid.uuid4())
    line = json.dumps({"type": "sent", "message_id": message})
    body = f"{line}\n\n{line}\r\nnonsense\n{line}".encode()
    outcome = service.post("/v1/events", body, NDJSON).json()
    assert outcome["accepted"] == 3
    assert [(one["index"], one["code"]) for one in outcome["rejected"]] == [(3, "INVALID_JSON")]
    assert len(events_of(service, message)) == 3


def test_ndjson_is_reported_by_line(service: Service) -> None:
    good = json.dumps({"type": "received", "domain": "a.example"})
    outcome = service.post("/v1/events", f"\n\r\n{good}\n \nnonsense\n\n{{}}".encode(), NDJSON).json()
    assert (outcome["accepted"], [one["index"] for one in outcome["rejected"]]) == (1, [4, 6])
    reply = service.post("/v1/events", b"\n" * 20_001, NDJSON)
    assert (reply.status, error(reply)["code"]) == (400, "TOO_MANY_ITEMS")


def test_there_is_a_most_for_events_too(service: Service) -> None:
    event = {"type": "received", "domain": "a.example"}
    assert service.post("/v1/events", {"events": [event] * 10_000}).json()["accepted"] == 10_000
    assert service.post("/v1/events", {"events": [event] * 10_001}).status == 400
    assert service.post("/v1/events", b'{"type":"received","domain":"a.example"}\n' * 10_001, NDJSON).status == 400


def test_records_and_answers_agree(service: Service) -> None:
    """What is in the streams afterwards decodes, whatever these tests have sent."""
    kinds: set[type[Record]] = {type(record) for record in once(service.redis_url)}
    assert {Event, Refusal} <= kinds

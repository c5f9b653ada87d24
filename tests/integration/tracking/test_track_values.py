"""What the track API takes and refuses, and how (semantics.md, "Small decisions"; hostile-input.md 26-28)."""

import gzip
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from iso4217 import Currency

from postmeter.shared.errors import FieldRefused, RequestError
from postmeter.shared.stream.records import CustomEvent, Purchase
from postmeter.tracking.contacts import purchase, values
from postmeter.tracking.contacts.track import read_event
from tests.integration.tracking_service import Reply, Service, once
from tests.integration.tracking_writes import GZIP

EVENT = "/api/v1/track/event"
PURCHASE = "/api/v1/track/purchase"
GOOD = {"event_name": "trial_started", "contact_email": "a@b.example"}
BOUGHT = {"contact_email": "a@b.example", "amount": 1, "currency": "EUR"}
ITEM = {"name": "Pro", "quantity": 1, "price": 9.5}


@pytest.fixture(scope="module")
def service(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("track")
    running = Service(redis_server, folder / "spool")
    yield running
    running.kill()


def refused(reply: Reply, status: int, code: str) -> str:
    """The message of an error in Misar's envelope."""
    answer = reply.json()
    assert (reply.status, answer["success"], answer["error_type"]) == (status, False, code), answer
    assert set(answer) == {"success", "error", "error_type"}
    return str(answer["error"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"event_name": "Trial"}, "event_name"),
        ({"event_name": "trial-started"}, "event_name"),
        ({"event_name": "trial__started"}, "event_name"),
        ({"event_name": "_trial"}, "event_name"),
        ({"event_name": ""}, "event_name"),
        ({"event_name": "a" * 101}, "event_name"),
        ({"event_name": 7}, "event_name"),
        ({"event_name": None}, "event_name"),
        ({"contact_email": "nobody"}, "contact_email"),
        ({"contact_email": "a@b.example, c@d.example"}, "contact_email"),
        ({"contact_email": ""}, "contact_email"),
        ({"properties": []}, "properties"),
        ({"properties": {"a": "x" * 17_000}}, "properties"),
        ({"properties": {"a": [[[[[[[[[1]]]]]]]]]}}, "properties"),
        ({"properties": {"a": "\0"}}, "properties"),
        ({"properties": {"a\0": 1}}, "properties"),
        ({"timestamp": "2026-04-03T12"}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": 1}, "timestamp"),
        ({"evnt": 1}, "evnt"),
    ],
)
def test_a_wrong_field_of_an_event_is_named(service: Service, changes: dict[str, Any], field: str) -> None:
    message = refused(service.post(EVENT, GOOD | changes), 422, "INVALID_FIELD")
    assert message.startswith(f"{field}: "), message


@pytest.mark.parametrize("field", ["event_name", "contact_email"])
def test_a_missing_field_of_an_event_is_named(service: Service, field: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != field}
    assert refused(service.post(EVENT, body), 422, "INVALID_FIELD") == f"{field}: This field is required."


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": -0.01}, "amount"),
        ({"amount": "1"}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": [1]}, "amount"),
        ({"amount": 10**15}, "amount"),
        ({"amount": 0.001}, "amount"),
        ({"amount": 0.5, "currency": "JPY"}, "amount"),
        ({"currency": "usd"}, "currency"),
        ({"currency": "US"}, "currency"),
        ({"currency": "XYZ"}, "currency"),
        ({"currency": "DEM"}, "currency"),
        ({"currency": "840"}, "currency"),
        ({"currency": ""}, "currency"),
        ({"currency": None}, "currency"),
        ({"contact_email": "nobody"}, "contact_email"),
        ({"order_id": ""}, "order_id"),
        ({"order_id": "x" * 201}, "order_id"),
        ({"order_id": 7}, "order_id"),
        ({"order_id": "a\0"}, "order_id"),
        ({"items": {}}, "items"),
        ({"items": [ITEM, {**ITEM, "quantity": 0}]}, "items[1].quantity"),
        ({"items": [{**ITEM, "quantity": "1"}]}, "items[0].quantity"),
        ({"items": [{**ITEM, "price": 0.0000001}]}, "items[0].price"),
        ({"items": [{**ITEM, "name": "\0"}]}, "items[0].name"),
        ({"items": [{"name": "Pro", "quantity": 1}]}, "items[0].price"),
        ({"items": [ITEM] * 201}, "items"),
        ({"timestamp": "2026-02-29T00:00:00Z"}, "timestamp"),
        ({"order": "x"}, "order"),
    ],
)
def test_a_wrong_field_of_a_purchase_is_named(service: Service, changes: dict[str, Any], field: str) -> None:
    message = refused(service.post(PURCHASE, BOUGHT | changes), 422, "INVALID_FIELD")
    assert message.startswith((f"{field}: ", f"{field.replace('[0]', '[...]')}: ")), message


def test_an_amount_in_quotes_is_told_of_its_quotes(service: Service) -> None:
    message = refused(service.post(PURCHASE, BOUGHT | {"amount": "9.99"}), 422, "INVALID_FIELD")
    assert message == "amount: takes a number, without quotes"


@pytest.mark.parametrize(
    ("amount", "status", "code"),
    [
        (b"1e400", 422, "INVALID_FIELD"),
        (b"1e-400", 422, "INVALID_FIELD"),
        (b"0e99999999999999999999", 422, "INVALID_FIELD"),
        (b"1e99999999999999999999", 422, "INVALID_FIELD"),
        (b"1e-99999999999999999999", 422, "INVALID_FIELD"),
        (b"9" * 100_000, 422, "INVALID_FIELD"),
        (b"NaN", 400, "INVALID_JSON"),
        (b"Infinity", 400, "INVALID_JSON"),
        (b"01", 400, "INVALID_JSON"),
        (b"+1", 400, "INVALID_JSON"),
    ],
)
def test_numbers_that_are_none(service: Service, amount: bytes, status: int, code: str) -> None:
    body = b'{"contact_email": "a@b.example", "amount": %s, "currency": "EUR"}' % amount
    refused(service.post(PURCHASE, body), status, code)


@pytest.mark.parametrize(
    "number", ["1e-301", "1e400", "1E+99999999999", "0e-20000", "0." + "0" * 16_360 + "1", "0." + "1" * 1000]
)
def test_properties_hold_no_number_that_cannot_be_kept(service: Service, number: str) -> None:
    body = b'{"event_name": "a", "contact_email": "a@b.example", "properties": {"e1": "1e999", "n": [%s]}}'
    assert refused(service.post(EVENT, body % number.encode()), 422, "INVALID_FIELD").startswith("properties: ")


async def test_what_properties_may_hold_postgres_takes(postgres_dsn: str) -> None:
    digits = "1" * (values.OBJECT_DIGITS - 2)
    numbers = ["1e-300", "1e300", f"0.{digits}", f"0.{digits}e-300", "0e-300", "1E+2", "-0"]
    texts = [r'"\\"', r'"\"1e-999"', '"1e-999"', '""']
    given = '{"e-20000": [' + ",".join(numbers + texts) + "]}"
    connection = await asyncpg.connect(postgres_dsn)
    try:
        kept = await connection.fetchval("SELECT $1::text::jsonb::text", values.properties(msgspec.Raw(given.encode())))
    finally:
        await connection.close()
    found = json.loads(kept, parse_float=Decimal, parse_int=Decimal)["e-20000"]
    assert found == json.loads(given, parse_float=Decimal, parse_int=Decimal)["e-20000"]


@pytest.mark.parametrize("path", [EVENT, PURCHASE])
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "INVALID_JSON"),
        (b"{", 400, "INVALID_JSON"),
        (b"{]", 400, "INVALID_JSON"),
        (b'{"contact_email": "\xff"}', 400, "INVALID_JSON"),
        (b"[]", 422, "INVALID_FIELD"),
        (b'"text"', 422, "INVALID_FIELD"),
        (b'{"contact_email": "' + b"x" * 300_000 + b'"}', 413, "PAYLOAD_TOO_LARGE"),
    ],
)
def test_a_body_that_is_none(service: Service, path: str, body: bytes, status: int, code: str) -> None:
    refused(service.post(path, body), status, code)


def test_a_body_that_is_nested_too_deeply(service: Service) -> None:
    deep = b'{"a":' * 9_000 + b"1" + b"}" * 9_000
    body = b'{"contact_email": "a@shop.example", "event_name": "seen", "properties": ' + deep + b"}"
    assert "nested too deeply" in refused(service.post(EVENT, body), 400, "INVALID_JSON")


def test_a_gzip_bomb_is_too_large(service: Service) -> None:
    refused(service.post(EVENT, gzip.compress(b" " * 10_000_000), GZIP), 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("path", [EVENT, PURCHASE])
def test_who_may_write(service: Service, path: str) -> None:
    body = GOOD if path == EVENT else BOUGHT
    assert "track" in refused(service.post(path, body, service.principal(scopes=("analytics",))), 403, "FORBIDDEN")
    confined = service.principal(role="domain_admin", domains=["b.example"])
    refused(service.post(path, body, confined), 403, "FORBIDDEN")
    refused(service.post(path, body, "Postmeter-Principal: forged"), 401, "UNAUTHORIZED")
    refused(service.ask(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode()), 405, "METHOD_NOT_ALLOWED")


def test_nothing_of_a_refused_request_is_stored_and_no_address_of_another(service: Service) -> None:
    contact = f"{uuid.uuid4().hex}@b.example"
    refused(service.post(EVENT, {**GOOD, "contact_email": contact, "event_name": "X"}), 422, "INVALID_FIELD")
    before = once(service.redis_url)
    assert service.post(EVENT, {**GOOD, "contact_email": f"Ada <{contact.upper()}>"}).status == 200
    found = [record for record in once(service.redis_url) if record not in before]
    assert [type(record) for record in found] == [CustomEvent]
    assert contact not in repr(found).lower()


def test_without_an_aggregator_an_order_is_sent_again_and_anything_else_accepted(service: Service) -> None:
    """Nobody attributes here: an order is safe to repeat, another purchase would count twice."""
    reply = service.post(PURCHASE, {**BOUGHT, "order_id": "o-1"})
    assert "send it again" in refused(reply, 503, "UNAVAILABLE")
    assert reply.headers["retry-after"] == "1"
    reply = service.post(PURCHASE, BOUGHT)
    event_id = reply.json()["event_id"]
    assert (reply.status, reply.json()) == (
        200,
        {"success": True, "event_id": event_id, "attributed_campaign_id": None},
    )
    stored = [record for record in once(service.redis_url) if isinstance(record, Purchase)]
    assert [record.id for record in stored if not record.order] == [event_id]


AMOUNTS = st.decimals(0, 10**15, allow_nan=False, allow_infinity=False, places=4)


CENTS = st.lists(st.integers(0, 10**7), min_size=1, max_size=12)


@given(CENTS)
def test_a_sum_of_floats_is_the_money_that_was_added(cents: list[int]) -> None:
    total = 0.0
    for one in cents:
        total += one / 100
    body = json.dumps({"contact_email": "a@b.example", "currency": "EUR", "amount": total}).encode()
    assert purchase.read(1, body).amount == Decimal(sum(cents)) / 100


@given(CENTS, st.integers(1, 9), st.integers(1, 4))
def test_more_decimals_than_the_currency_has_are_refused(cents: list[int], digit: int, zeros: int) -> None:
    amount = f"{Decimal(sum(cents)) / 100:.2f}{'0' * (zeros - 1)}{digit}"
    body = f'{{"contact_email": "a@b.example", "currency": "EUR", "amount": {amount}}}'.encode()
    with pytest.raises(FieldRefused, match="EUR has 2 decimals"):
        purchase.read(1, body)


def test_a_time_without_a_zone_is_utc() -> None:
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5)
    read = [
        purchase.read(1, json.dumps({**BOUGHT, "timestamp": text}).encode()).at
        for text in (at.isoformat(), at.replace(tzinfo=None).isoformat(), f"{at.replace(tzinfo=None)}.000")
    ]
    assert len(set(read)) == 1
    assert read[0] == int(at.timestamp()) * 10**6


def test_null_is_as_what_is_not_given() -> None:
    event = read_event(1, json.dumps({**GOOD, "properties": None, "timestamp": None}).encode())
    bought = purchase.read(1, json.dumps({**BOUGHT, "order_id": None, "items": None, "timestamp": None}).encode())
    assert (event.properties, bought.items, bought.order) == ("{}", "[]", "")


def test_fields_of_an_item_s_own_are_kept_as_they_were_written() -> None:
    body = b'{"contact_email": "a@b.example", "amount": 1, "currency": "EUR", "items": [{"sku": "A-1", "name": "Pro",'
    body += b' "quantity": 1, "price": 9.50, "tax": {"rate": 0.190000000000000000000000000001, "of": [1, null]}}]}'
    (item,) = json.loads(purchase.read(1, body).items, parse_float=Decimal)
    assert item["sku"] == "A-1"
    assert item["tax"] == {"rate": Decimal("0.190000000000000000000000000001"), "of": [1, None]}
    assert (item["name"], item["quantity"], item["price"]) == ("Pro", 1, Decimal("9.5"))


@pytest.mark.parametrize(
    "own", ['"\\u0000"', '{"a\\u0000": 1}', "[" * 20 + "]" * 20, '"' + "x" * 20_000 + '"', "1e999"]
)
def test_fields_of_an_item_s_own_are_bounded(own: str) -> None:
    line = f'{{"name": "Pro", "quantity": 1, "price": 1, "own": {own}}}'
    body = f'{{"contact_email": "a@b.example", "amount": 1, "currency": "EUR", "items": [{line}]}}'
    with pytest.raises(FieldRefused, match=r"^items\[0\]: "):
        purchase.read(1, body.encode())


@given(AMOUNTS, st.sampled_from(sorted(c.code for c in Currency if c.exponent is not None)), st.booleans())
def test_an_amount_is_exact_or_refused(amount: Decimal, code: str, scientific: bool) -> None:
    places = Currency(code).exponent
    assert places is not None
    fits = amount < 10**15 and amount == round(amount, places)
    # Above it, four decimals may be what a sum of floats with two is.
    assume(fits or not 10**9 < amount < 10**15)
    text = f"{amount:E}" if scientific else str(amount)
    body = f'{{"contact_email": "a@b.example", "currency": "{code}", "amount": {text}}}'.encode()
    if fits:
        assert purchase.read(1, body).amount == amount
    else:
        with pytest.raises(FieldRefused, match=r"^amount: "):
            purchase.read(1, body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    )
)
def test_anything_else_is_a_422(found: Any) -> None:
    for body in ({**BOUGHT, "items": [found]}, {**BOUGHT, "amount": str(found)}, [found]):
        with pytest.raises((FieldRefused, RequestError)) as refused_:
            purchase.read(1, json.dumps(body).encode())
        error = refused_.value
        assert isinstance(error, FieldRefused) or (isinstance(error, RequestError) and error.code == "INVALID_JSON")

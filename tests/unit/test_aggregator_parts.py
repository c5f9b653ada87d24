"""The aggregator's parts that need no server."""

import asyncio
from datetime import UTC, datetime
from typing import Any, get_args

import asyncpg
import msgspec
import pytest
import redis.exceptions
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from postmeter.aggregator.errors import LeaseLost, is_of_the_data
from postmeter.aggregator.fold import texts
from postmeter.aggregator.fold.changes import Sendings
from postmeter.aggregator.fold.deltas import Deltas, widened, with_totals
from postmeter.aggregator.fold.effects import (
    ANONYMOUS,
    EFFECTS,
    HIT_COUNTERS,
    HIT_ENGAGEMENTS,
    INDEX,
    TRACKABLE,
    UNIQUES,
)
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.fold.moments import NEVER
from postmeter.aggregator.held import Held, nowhere
from postmeter.aggregator.metrics import AggregatorMetrics
from postmeter.aggregator.settings import AggregatorSettings
from postmeter.aggregator.store.campaigns import Campaigns
from postmeter.aggregator.store.dimensions import Dimensions, of_message
from postmeter.aggregator.store.messages import believed
from postmeter.aggregator.store.rollups import statement
from postmeter.aggregator.stream import checks
from postmeter.aggregator.stream.batches import unpack
from postmeter.aggregator.stream.lease import Lease
from postmeter.aggregator.stream.reader import Entry
from postmeter.aggregator.verdicts.agent_names import AgentNames
from postmeter.aggregator.verdicts.judge import Judge
from postmeter.aggregator.verdicts.networks import Networks
from postmeter.shared.auth.secret import Secret
from postmeter.shared.privacy.levels import Level
from postmeter.shared.storage import partitions
from postmeter.shared.storage.rollups import ROLLUPS, TOTAL, Series
from postmeter.shared.storage.sql import name_of
from postmeter.shared.stream import records
from postmeter.shared.stream.events import BounceType, Engagement, EventType, Mark, Verdict
from postmeter.shared.stream.records import Mail
from postmeter.shared.text import hosts
from tests.aggregation import AT, event, hit, message, registration

DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("ip", "kept"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("0.0.0.0", "0.0.0.0"),
        ("255.255.255.255", "255.255.255.0"),
        ("2001:db8:aaaa:bbbb::1", "2001:db8:aaaa::"),
        ("::1", "::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("", None),
        ("203.0.113", None),
        ("203.0.113.256", None),
        ("203.0.113.7\0", None),
        ("２03.0.113.7", None),
        ("unknown", None),
    ],
)
def test_addresses_lose_their_host_part(ip: str, kept: str | None) -> None:
    assert hosts.network(ip) == kept


def test_user_agents_become_text_that_postgres_takes() -> None:
    assert texts.user_agent(b"Mail/1.0 \xff\0x") == "Mail/1.0 \ufffdx"
    assert texts.user_agent(b"\0") is None


@pytest.mark.parametrize(
    ("kind", "agent", "prefetch", "verdict"),
    [
        (EventType.OPENED, b"Mozilla/5.0", False, (Verdict.PROXY, "apple_mpp")),
        (EventType.OPENED, b"Mozilla/5.0", True, (Verdict.MACHINE, "prefetch")),
        (EventType.OPENED, b"Mozilla/5.0 (Macintosh)", False, (Verdict.HUMAN, None)),
        (EventType.CLICKED, b"Mozilla/5.0", False, (Verdict.HUMAN, None)),
        (EventType.CLICKED, b"", True, (Verdict.MACHINE, "prefetch")),
    ],
)
def test_verdicts(kind: EventType, agent: bytes, prefetch: bool, verdict: object) -> None:
    assert Judge(Networks.shipped, AgentNames.shipped)(kind, agent, prefetch, "") == verdict


def test_every_event_and_counter_has_its_rule() -> None:
    for kind in EventType:
        for bounce in BounceType if kind is EventType.BOUNCED else (0,):
            assert (kind, bounce) in EFFECTS
    counted = {effect.counter for effect in EFFECTS.values()} | set(HIT_COUNTERS.values()) | set(UNIQUES.values())
    also = {INDEX["spam"], INDEX["size_bytes"], TRACKABLE, None}
    assert counted | also | set(ANONYMOUS.values()) == {*INDEX.values(), None}
    engaging = {effect.engagement for effect in EFFECTS.values()} | set(HIT_ENGAGEMENTS.values())
    assert engaging - {None} == set(Engagement) == set(UNIQUES)


def test_good_records_have_no_fault() -> None:
    for record in (hit(1), registration(1), event(EventType.SENT, 1), event(EventType.RECEIVED, domain="a.example")):
        assert checks.fault(record) is None


_MAIL = Mail("src_1", "0" * 64, "", "", "", "", "", "", [])
_TOLD = event(EventType.BOUNCED, 1, bounce=int(BounceType.HARD), mail=_MAIL)


def _texts(record: msgspec.Struct) -> list[str]:
    fields = msgspec.structs.fields(record)
    return [
        field.name for field in fields if field.type is str and field.name != "ip"
    ]  # what is not an address is not kept


@pytest.mark.parametrize(
    "record",
    [
        *(msgspec.structs.replace(registration(1), **{name: "a\0"}) for name in _texts(registration(1))),
        *(msgspec.structs.replace(_TOLD, **{name: "a\0"}) for name in _texts(_TOLD)),
        *(msgspec.structs.replace(_TOLD, mail=msgspec.structs.replace(_MAIL, **{n: "a\0"})) for n in _texts(_MAIL)),
        msgspec.structs.replace(_TOLD, mail=msgspec.structs.replace(_MAIL, tags=["a\0"])),
    ],
    ids=str,
)
def test_a_text_that_cannot_be_stored_is_a_fault(record: records.Record) -> None:
    assert checks.fault(record) == "text"


def test_what_is_sound_has_no_fault() -> None:
    marks = [0, Mark.HEAD, Mark.HONEYPOT, 3, Level.OFF << records.MARK_BITS, 15 << records.MARK_BITS]
    found: list[records.Record] = [
        hit(1, at, workspace=workspace, message=of, mark=mark, url=url)
        for workspace in (1, 2**31 - 1, 2**31, 0, -1)
        for at in (AT, 0, -1, checks._LATEST - 1, checks._LATEST)
        for of in (message(1), b"", bytes(17))
        for mark in marks
        for url in ("", "https://a.example/", "\0")
    ]
    others: list[records.Record] = [registration(1), registration(1, links=-1), event(EventType.SENT)]
    for together in (found, found + others):
        assert checks.sound(together) == [one for one in together if checks.fault(one) is None]


def test_every_kind_of_record_is_checked() -> None:
    kinds = set(get_args(records.Record)) | {records.WaitingHit, records.WaitingEvent}
    assert checks._FAULT_OF.keys() == kinds - {records.Refusal}


def test_names_that_only_confined_keys_have_told_are_not_believed() -> None:
    names = [(1, "SENDGRID", f"sg-{n}") for n in (1, 2)]
    assert believed(names, [registration(1), registration(2)]) == names
    assert believed(names, [registration(1), registration(2, confined=True)]) == names[:1]


def test_where_a_time_counts() -> None:
    now = int(datetime(2026, 3, 31, 12, tzinfo=UTC).timestamp()) * 1_000_000
    horizon = Horizon({"event": 3, "activity_1d": 120}, now)
    start = int(datetime(2024, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000
    assert horizon.place(start, now - 5) == start
    assert horizon.place(start - 1, now - 5) == now - 5
    assert horizon.place(now + 90 * DAY, now - 5) == now - 5
    assert horizon.place(start - 1, start - 1) == now
    assert horizon.oldest["event"] == int(datetime(2025, 12, 1, tzinfo=UTC).timestamp()) * 1_000_000
    assert horizon.oldest["activity_1d"] == start


def test_every_month_cut_table_has_its_retention() -> None:
    settings = AggregatorSettings(postgres_dsn=Secret(""), redis_url=Secret(""))
    assert set(settings.months()) == {table.table for table in partitions.TABLES if table.width == "month"}


def test_tags_make_the_same_series_in_any_order() -> None:
    assert of_message(registration(1, tags=["b", "a", "b"])) == of_message(registration(2, tags=["a", "b"]))


async def test_series_that_another_flush_forgets_meanwhile_are_told_all_the_same() -> None:
    dimensions = Dimensions(10, AggregatorMetrics(CollectorRegistry()))
    known, new = Series(1, "spring"), Series(1, "summer")
    dimensions._series[known] = 1

    class Connection:
        async def fetch(self, *_: object) -> list[dict[str, object]]:
            dimensions.forget()
            return [{"id": 2, "usual_from": None, "usual_account": None}]

    connection: Any = Connection()
    assert await dimensions.resolve(connection, {known, new}) == {known: 1, new: 2}


async def test_campaigns_that_another_flush_forgets_meanwhile_are_written_all_the_same() -> None:
    campaigns, sendings = Campaigns(), Sendings()
    sendings.add(1, message(1), AT, 7)
    part = {"workspace": 1, "campaign": "spring", "domain": "shop.example"}
    rows = {
        "campaigns_of_series": [part | {"id": 7}],
        "first_confined_sendings": [part | {"id": "spring", "sent_at": NEVER}],
    }
    written: list[str] = []

    class Connection:
        async def fetch(self, query: str, *_: object) -> list[dict[str, object]]:
            campaigns.forget()
            return rows.get(name_of(query), [])

        async def execute(self, query: str, *_: object) -> None:
            campaigns.forget()
            written.append(name_of(query))

    connection: Any = Connection()
    await campaigns.write(connection, sendings)
    assert written == ["raise_confined_sendings", "raise_sendings"]


buckets = st.tuples(st.integers(1, 2), st.integers(0, 20).map(lambda n: n * 10), st.integers(1, 3))


@given(st.dictionaries(buckets, st.lists(st.integers(-5, 5), min_size=2, max_size=2)))
def test_wider_buckets_and_totals_hold_the_same_sums(deltas: Deltas) -> None:
    before = {key: list(counts) for key, counts in deltas.items()}
    for found in (widened(with_totals(deltas), 40), with_totals(widened(deltas, 40))):
        for workspace, start, series in {(w, at - at % 40, s) for w, at, _ in deltas for s in (TOTAL, 1, 2, 3)}:
            inside = [
                counts
                for (w, at, s), counts in deltas.items()
                if w == workspace and start <= at < start + 40 and series in (s, TOTAL)
            ]
            assert found.get((workspace, start, series), [0, 0]) == [
                sum(c[0] for c in inside),
                sum(c[1] for c in inside),
            ]
    assert deltas == before


def test_rollup_statements_name_every_counter() -> None:
    for rollup in ROLLUPS:
        add = statement(rollup, rollup.counters, rollup.tiers)
        for tier in rollup.tiers:
            _, _, adds = add.partition(f"INSERT INTO {tier.table} AS known")
            for name in rollup.counters:
                known, more = (
                    f"coalesce({of}.{name}, 0)" if rollup.is_sparse else f"{of}.{name}" for of in ("known", "excluded")
                )
                assert f"{known} + {more}" in adds.partition("INSERT INTO")[0]


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (asyncpg.NumericValueOutOfRangeError("x"), True),
        (asyncpg.CharacterNotInRepertoireError("x"), True),
        (asyncpg.CheckViolationError("x"), True),
        (asyncpg.UniqueViolationError("x"), True),
        (asyncpg.CardinalityViolationError("x"), True),
        (asyncpg.ProgramLimitExceededError("x"), True),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x"), True),
        (KeyError("x"), True),
        (RecursionError("x"), True),
        (asyncpg.QueryCanceledError("time-out"), False),
        (asyncpg.DiskFullError("x"), False),
        (asyncpg.OutOfMemoryError("x"), False),
        (asyncpg.TooManyConnectionsError("x"), False),
        (asyncpg.AdminShutdownError("x"), False),
        (asyncpg.CannotConnectNowError("x"), False),
        (asyncpg.ConnectionDoesNotExistError("x"), False),
        (asyncpg.PostgresIOError("x"), False),
        (asyncpg.SerializationError("x"), False),
        (asyncpg.DeadlockDetectedError("x"), False),
        (asyncpg.LockNotAvailableError("x"), False),
        (asyncpg.ReadOnlySQLTransactionError("x"), False),
        (asyncpg.InsufficientPrivilegeError("x"), False),
        (asyncpg.UndefinedTableError("x"), False),
        (asyncpg.InternalServerError("x"), False),
        (asyncpg.InterfaceError("connection is closed"), False),
        (asyncpg.exceptions._base.DataError("invalid input for query argument"), True),
        (asyncpg.InternalClientError("x"), False),
        (redis.exceptions.ConnectionError("x"), False),
        (redis.exceptions.ResponseError("x"), False),
        (ConnectionResetError("x"), False),
        (TimeoutError("x"), False),
        (OSError(28, "no space left"), False),
        (MemoryError(), False),
        (RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed"), False),
        (RuntimeError("of our own"), True),
        (LeaseLost([1]), False),
        (asyncio.CancelledError(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_only_what_is_the_data_s_fault_puts_data_aside(error: BaseException, blamed: bool) -> None:
    assert is_of_the_data(error) is blamed


@given(st.binary(max_size=300), st.integers(0, 400), st.binary(max_size=3))
def test_a_stream_entry_of_any_bytes_is_unpacked(noise: bytes, place: int, batch: bytes) -> None:
    """Also one of ours with other bytes in it."""
    good = records.join([records.encode(one) for one in (hit(1), registration(2), event(EventType.SENT, 3))])
    for packed in (noise, good[:place] + noise, good[:place] + noise + good[place + len(noise) :]):
        found = unpack(Entry(b"1-0", batch, packed))
        assert all(checks.fault(record) is None for record in found.records)
        assert found.id == (batch or b"1-0")
        is_empty = packed[:1] == b"\x90" or packed[1:3] == bytes(2)  # an array of none, in three ways to write it
        assert found.records or found.rejected or is_empty


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"ip": "203.0.113.77", "n": 12}', '{"ip": "203.0.113.0", "n": 12}'),
        ("ip:203.0.113.77:51234, from 198.51.100.9.", "ip:203.0.113.0:51234, from 198.51.100.0."),
        ("[2001:db8:1:2::7]:443 ::ffff:203.0.113.77", "[2001:db8:1::]:443 203.0.113.0"),
        ("at 12:30:45 of 1.2.3, Chrome/120.0.0.0", "at 12:30:45 of 1.2.3, Chrome/120.0.0.0"),
        ("a::b", "a::"),
        ("1.2.3.4.5.6 999.1.1.1 ::::", "1.2.3.4.5.6 999.1.1.1 ::::"),
        ("ip=203.0.113.77&x=1 b\xff\0", "ip=203.0.113.0&x=1 b\xff\0"),
    ],
)
def test_client_addresses_in_bytes_that_were_not_understood(text: str, left: str) -> None:
    assert hosts.without_hosts(text.encode("latin-1"), hosts.network) == left.encode("latin-1")
    gone = hosts.without_hosts(text.encode("latin-1"), hosts.no_network)
    assert b"203.0.113" not in gone
    assert b"2001" not in gone


@given(st.text(st.sampled_from("0123456789abcdef:. x"), max_size=60) | st.ip_addresses().map(str), st.ip_addresses())
def test_no_whole_address_is_left_in_bytes(before: str, ip: object) -> None:
    found = hosts.without_hosts(f'{before} "{ip}" {ip},'.encode(), hosts.network).decode()
    assert f'"{hosts.network(str(ip))}" {hosts.network(str(ip))},' in found


def test_a_long_word_is_not_remembered_as_if_it_were_an_address() -> None:
    """Thousands are: of a caller's whole texts they would fill the memory."""
    long = b"1." * 30_000
    before = hosts.network_6.cache_info()
    assert hosts.without_hosts(long, hosts.network) == long
    assert hosts.network_6.cache_info() == before


def test_shards_that_fail_alike_are_named_together() -> None:
    """A Postgres that is away is said once, however many shards there are."""
    shards = [Held(Lease(shard, 1, "0-0"), AggregatorMetrics(CollectorRegistry())) for shard in (2, 0, 1, 3)]
    for held in shards[:3]:
        held.fails(ConnectionRefusedError("no"), alone=False)
    assert nowhere(shards) == (
        "shards 0, 1, 2 have counted nothing for 0 s: ConnectionRefusedError: 'no';"
        " shard 3 has counted nothing for 0 s: it hangs"
    )

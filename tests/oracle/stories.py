"""Random histories of one workspace (hypothesis): small, and full of moments at the edges of buckets and windows."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import strategies as st

from postmeter.shared import records
from postmeter.shared.events import BounceType, EventType
from postmeter.shared.records import CampaignChange, Event, Hit, Record, Registration
from tests.aggregation import event, hit, registration
from tests.oracle.history import EPOCH
from tests.oracle.times import QUARTER, SECOND, midnight, quarter

MICRO = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TODAY = midnight(datetime.now(UTC).date())
"""The aggregator keeps what lies within two years of the real moment, so histories end some days before it."""
MESSAGES = range(6)
DOMAINS = ("shop.example", "mail.example", "xn--mller-kva.example")
CAMPAIGNS = ("", "spring", "Summer", "a<b>&c")
SUBJECTS = ("Hello", "HELLO world", "100% off_now", "Größe ÄÖÜ", "")
REASONS = (
    "",
    "550 5.1.1 user unknown",
    "5.1.1 The email account that you tried to reach does not exist",
    "452 4.2.2 mailbox full",
    "Over quota",
    "550 5.7.1 blocked by policy",
    "something else altogether",
)
TAGS = ((), ("welcome",), ("b", "a"), ("Zeta", "a"))
OUTCOMES = (EventType.SENT, EventType.DELIVERED, EventType.BOUNCED)
MAIL_EVENTS = tuple(kind for kind in EventType if kind is not EventType.RECEIVED)


def micros(at: datetime) -> int:
    return (at - EPOCH) // MICRO


def clock_changes(zone: str, year: int) -> list[datetime]:
    """When a zone's clocks changed in a year."""
    local, at, found = ZoneInfo(zone), datetime(year, 1, 1, tzinfo=UTC), []
    while at.year == year:
        if (at + HOUR).astimezone(local).utcoffset() != at.astimezone(local).utcoffset():
            found.append(at + HOUR)
        at += HOUR
    return found


CHANGES = [at for year in (TODAY.year - 1, TODAY.year) for at in clock_changes("Europe/Berlin", year)]
CHANGES = [at for at in CHANGES if TODAY - 400 * DAY < at < TODAY - 25 * DAY]


@st.composite
def nows(draw: st.DrawFn) -> datetime:
    """The moment at which all questions are asked: also on the edges of days, hours and quarter-hours."""
    day = TODAY - draw(st.integers(2, 20)) * DAY
    edge = st.sampled_from([timedelta(), 15 * HOUR, 10 * HOUR + QUARTER, 10 * HOUR + QUARTER - SECOND, DAY - SECOND])
    return day + draw(edge | st.integers(0, 86399).map(lambda seconds: seconds * SECOND))


def anchors(now: datetime) -> list[datetime]:
    """Where windows begin and end."""
    today = midnight(now.date())
    hour = now.replace(minute=0, second=0, microsecond=0)
    days = [today - n * DAY for n in (0, 6, 7, 14, 29, 30, 89, 90)]
    rolling = [now - n * DAY for n in (1, 7, 30, 90)]
    return [now, quarter(now) - 3 * QUARTER, hour, hour - 23 * HOUR, *days, *rolling, *CHANGES]


def moments(now: datetime, latest: datetime) -> st.SearchStrategy[datetime]:
    """Moments near windows' edges, none after `latest`."""
    near = st.sampled_from([timedelta(), -MICRO, QUARTER - MICRO, SECOND, -SECOND])
    around = st.integers(-240, 240).map(lambda minutes: minutes * 37 * SECOND) | st.integers(-48, 48).map(
        lambda hours: hours * HOUR
    )
    # Mostly of the last days, so that buckets are shared.
    recent = st.integers(0, 200).map(lambda n: now - n * timedelta(minutes=41))
    edges = st.builds(lambda at, by: at + by, st.sampled_from(anchors(now)), near | around)
    return (recent | edges).map(lambda at: min(at, latest))


@dataclass
class Story:
    """What happened in a workspace by `now`, and what its aggregator is given besides: told again, in any order."""

    now: datetime
    records: list[Record] = field(default_factory=list)
    again: list[Record] = field(default_factory=list)

    def batches(self, noise: random.Random) -> list[tuple[bytes, list[Record]]]:
        """All records in batches, shuffled; some batches twice."""
        rest = [*self.records, *self.again]
        noise.shuffle(rest)
        made: list[tuple[bytes, list[Record]]] = []
        while rest:
            size = noise.randint(1, 12)
            made.append((b"%d" % len(made), rest[:size]))
            rest = rest[size:]
        made += [one for one in made if noise.random() < 0.25]
        noise.shuffle(made)
        return made


def registrations(now: datetime) -> st.SearchStrategy[Registration]:
    def build(n: int, created: datetime, campaign: str, named: bool, changes: dict[str, object]) -> Registration:
        at = micros(created)
        name = f"{campaign.title()} {n}" if campaign and named else ""
        number = ((at // 1000) << 80 | 7 << 76 | 2 << 62 | n).to_bytes(16, "big")
        return registration(
            n, message=number, created=at, at=at + 13 * n, campaign=campaign, campaign_name=name, **changes
        )

    others = st.fixed_dictionaries(
        {
            "from_domain": st.sampled_from(DOMAINS),
            "provider": st.sampled_from(["SENDGRID", "SENDGRID", "POSTMARK", ""]),
            "provider_account": st.sampled_from(["", "pa-1"]),
            "template": st.sampled_from(["", "welcome", "Receipt"]),
            "tags": st.sampled_from(TAGS).map(list),
            "subject": st.sampled_from(SUBJECTS),
        }
    )
    created = moments(now, now)
    return st.builds(build, st.sampled_from(MESSAGES), created, st.sampled_from(CAMPAIGNS), st.booleans(), others)


def told(now: datetime, known: list[Registration]) -> st.SearchStrategy[Event]:
    def build(
        kind: EventType, which: int, named: bool, at: datetime, hard: bool, reason: str, url: str, agent: bytes
    ) -> Event:
        of = known[which % len(known)]
        named = named and bool(of.provider)
        clicked = kind is EventType.CLICKED
        engaged = clicked or kind is EventType.OPENED
        return event(
            kind,
            at=micros(at),
            message=b"" if named else of.message,
            provider=of.provider if named else "",
            provider_message=of.provider_message if named else "",
            bounce=int(BounceType.HARD if hard else BounceType.SOFT) if kind is EventType.BOUNCED else 0,
            reason=reason if kind in (EventType.BOUNCED, EventType.FAILED) else "",
            url=url if clicked else "",
            user_agent=agent if engaged else b"",
        )

    kinds = st.sampled_from(OUTCOMES) | st.sampled_from(MAIL_EVENTS)
    return st.builds(
        build,
        kinds,
        st.integers(0, len(known) - 1),
        st.booleans(),
        moments(now, now + HOUR),
        st.booleans(),
        st.sampled_from(REASONS),
        st.sampled_from(["", "https://a.example/told"]),
        st.sampled_from([b"", b"Mozilla/5.0"]),
    )


def hits(now: datetime, known: list[Registration]) -> st.SearchStrategy[Hit]:
    return st.builds(
        lambda which, at, url, prefetch, agent: hit(
            0, micros(at), message=known[which].message, url=url, prefetch=prefetch, user_agent=agent
        ),
        st.integers(0, len(known) - 1),
        moments(now, now + HOUR),
        st.sampled_from(["", "", "https://a.example/x?y=1#z", "https://b.example/"]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([b"Thunderbird", b"Mozilla/5.0", b"\xff\0"]),
    )


def received(now: datetime) -> st.SearchStrategy[Event]:
    return st.builds(
        lambda at, domain, size, spam: event(
            EventType.RECEIVED, at=micros(at), domain=domain, size_bytes=size, spam=spam
        ),
        moments(now, now + HOUR),
        st.sampled_from([*DOMAINS[:2], "inbound.example"]),
        st.integers(0, 2**31),
        st.booleans(),
    )


def changes(now: datetime) -> st.SearchStrategy[CampaignChange]:
    return st.builds(
        lambda at, campaign, name, status: CampaignChange(
            at=micros(at) + 77, workspace=1, campaign=campaign, name=name, status=status
        ),
        moments(now, now),
        st.sampled_from([*CAMPAIGNS[1:], "planned"]),
        st.sampled_from([None, "Renamed", "<b>Bold</b>"]),
        st.sampled_from(["paused", "sending", "archived"]),
    )


@st.composite
def stories(draw: st.DrawFn, now: datetime) -> Story:
    story = Story(now)
    known = draw(st.lists(registrations(now), max_size=len(MESSAGES), unique_by=lambda r: r.provider_message))
    unknown = draw(st.sampled_from([0, 0, 0, 1]))  # some messages are never registered
    used: set[int] = set()
    if known:
        happened = draw(st.lists(hits(now, known) | told(now, known) | told(now, known), max_size=40))
        keys = draw(st.lists(st.booleans(), min_size=len(happened), max_size=len(happened)))
        repeats = draw(st.lists(st.booleans(), min_size=len(happened), max_size=len(happened)))
        for n, (one, keyed, repeated) in enumerate(zip(happened, keys, repeats, strict=True)):
            record = one
            while record.at in used:  # one thing at a time, so that histories have one order
                record = _later(record)
            used.add(record.at)
            if isinstance(record, Event) and keyed:
                record = _keyed(record, n)
                story.again += [record] * repeated
            story.records.append(record)
    story.records += [*known[unknown:], *draw(st.lists(received(now), max_size=6))]
    story.again += draw(st.lists(st.sampled_from(known[unknown:]), max_size=2)) if known[unknown:] else []
    said = draw(st.lists(changes(now), max_size=2, unique_by=lambda c: (c.campaign, c.at)))
    story.records += said
    return story


def _later(record: Hit | Event) -> Hit | Event:
    return msgspec.structs.replace(record, at=record.at + 1)


def _keyed(record: Event, n: int) -> Event:
    return msgspec.structs.replace(record, key=b"%016d" % n, digest=b"digest-8")


def in_workspace(record: Record, workspace: int) -> Record:
    """The record as the workspace's own: same messages, same keys, another tenant."""
    if isinstance(record, Event) and record.key:
        key = records.idempotency_key(workspace, record.key.decode())
        return msgspec.structs.replace(record, workspace=workspace, key=key)
    return msgspec.structs.replace(record, workspace=workspace)

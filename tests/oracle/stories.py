"""Random histories of one workspace (hypothesis): small, and full of moments at the edges of buckets and windows."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import strategies as st

from postmeter.shared.stream import records
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.shared.stream.records import CampaignChange, Event, Hit, Record, Registration
from tests.aggregation import event, hit, registration
from tests.oracle.history import ANONYMOUS, EPOCH, FULL, LAST_DATE, OFF, PSEUDONYMOUS
from tests.oracle.times import QUARTER, SECOND, midnight, quarter

MICRO = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TODAY = midnight(datetime.now(UTC).date())
"""The aggregator keeps what lies within two years of the real moment, so histories end some days before it."""
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
OPENS = (FULL, FULL, FULL, FULL, PSEUDONYMOUS, LAST_DATE, ANONYMOUS, OFF)
CLICKS = (FULL, FULL, FULL, FULL, PSEUDONYMOUS, ANONYMOUS, OFF)
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


def moment(now: datetime, latest: datetime, draw: random.Random) -> datetime:
    """A moment of the last days, so that buckets are shared, or near a window's edge; none after `latest`."""
    if draw.random() < 0.5:
        return min(now - draw.randint(0, 200) * timedelta(minutes=41), latest)
    near = (timedelta(), -MICRO, QUARTER - MICRO, SECOND, -SECOND)
    around = (draw.randint(-240, 240) * 37 * SECOND, draw.randint(-48, 48) * HOUR)
    return min(draw.choice(anchors(now)) + draw.choice(near + around), latest)


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
            size = noise.randint(1, 40)
            made.append((b"%d" % len(made), rest[:size]))
            rest = rest[size:]
        made += [one for one in made if noise.random() < 0.25]
        noise.shuffle(made)
        return made


def registered(now: datetime, n: int, draw: random.Random) -> Registration:
    """The n-th message."""
    created = micros(moment(now, now, draw))
    campaign = draw.choice(CAMPAIGNS)
    opens, clicks = draw.choice(OPENS), draw.choice(CLICKS)
    return registration(
        n,
        message=((created // 1000) << 80 | 7 << 76 | 2 << 62 | n).to_bytes(16, "big"),
        created=created,
        at=created + 13 * n,
        campaign=campaign,
        campaign_name=f"{campaign.title()} {n}" if campaign and draw.random() < 0.5 else "",
        from_domain=draw.choice(DOMAINS),
        provider=draw.choice(["SENDGRID", "SENDGRID", "POSTMARK", ""]),
        provider_account=draw.choice(["", "pa-1"]),
        template=draw.choice(["", "welcome", "Receipt"]),
        tags=list(draw.choice(TAGS)),
        subject=draw.choice(SUBJECTS),
        recipient_ref=draw.choice(["", f"reader {n}", "<b>ä"]),
        opens=opens,
        clicks=clicks,
        tracks_opens=opens != OFF,
        tracks_clicks=clicks != OFF,
    )


def told(now: datetime, known: list[Registration], draw: random.Random) -> Event:
    """An event of a message, named by its id or by its provider's."""
    kind = draw.choice([*OUTCOMES * 4, *MAIL_EVENTS])
    of = draw.choice(known)
    named = bool(of.provider) and draw.random() < 0.4
    engaged = kind in (EventType.OPENED, EventType.CLICKED)
    return event(
        kind,
        at=micros(moment(now, now + HOUR, draw)),
        message=b"" if named else of.message,
        provider=of.provider if named else "",
        provider_message=of.provider_message if named else "",
        bounce=int(draw.choice(list(BounceType))) if kind is EventType.BOUNCED else 0,
        reason=draw.choice(REASONS) if kind in (EventType.BOUNCED, EventType.FAILED) else "",
        url=draw.choice(["", "https://a.example/told"]) if kind is EventType.CLICKED else "",
        user_agent=draw.choice([b"", b"Mozilla/5.0"]) if engaged else b"",
    )


def hits(now: datetime, known: list[Registration], draw: random.Random) -> Hit:
    """An open or a click of a tracking URL, by a person, a proxy or a machine."""
    return hit(
        0,
        micros(moment(now, now + HOUR, draw)),
        message=draw.choice(known).message,
        url=draw.choice(["", "", "https://a.example/x?y=1#z", "https://b.example/"]),
        prefetch=draw.random() < 0.25,
        user_agent=draw.choice([b"Thunderbird", b"Mozilla/5.0", b"\xff\0"]),
    )


def blast(now: datetime, known: list[Registration], draw: random.Random) -> list[Hit | Event]:
    """Many events of one moment, so that rates are small and a day is worth a health score. The same message's:
    an event that is told again without an idempotency key is another one.
    """
    of, sent = draw.choice(known).message, draw.choice([8, 14, 16, 30, 250])
    # On the edges of days, a week or two apart: health scores compare weeks.
    at = micros(midnight(now.date()) - draw.randint(0, 25) * DAY) + draw.choice([0, 0, -(10**6)])
    few = (EventType.BOUNCED, EventType.COMPLAINED, EventType.UNSUBSCRIBED, EventType.REPLIED)
    sizes = {EventType.SENT: sent, EventType.DELIVERED: sent * 9 // 10, **{kind: draw.randint(0, 4) for kind in few}}
    found: list[Hit | Event] = []
    for kind, n in sizes.items():
        hard = int(BounceType.HARD) if kind is EventType.BOUNCED else 0
        found += [event(kind, at=at + 100 * k, message=of, bounce=hard) for k in range(n)]
    return found


def received(now: datetime, draw: random.Random) -> Event:
    """Mail that came in."""
    return event(
        EventType.RECEIVED,
        at=micros(moment(now, now + HOUR, draw)),
        domain=draw.choice([*DOMAINS[:2], "inbound.example"]),
        size_bytes=draw.randint(0, 2**31),
        spam=draw.random() < 0.5,
    )


def change(now: datetime, draw: random.Random) -> CampaignChange:
    """What a campaign's owner said of it."""
    return CampaignChange(
        at=micros(moment(now, now, draw)) + draw.randint(1, 10**6) * 13 + 7,
        workspace=1,
        campaign=draw.choice([*CAMPAIGNS[1:], "planned"]),
        name=draw.choice([None, "Renamed", "<b>Bold</b>"]),
        status=draw.choice(["paused", "sending", "archived"]),
    )


SEEDS = st.integers(0, 2**32 - 1)


def seeds(*sizes: int) -> st.SearchStrategy[list[random.Random]]:
    """One source of chance for each thing that happened: a history shrinks by what happened at all, and what
    hypothesis has to keep of a large one is small.
    """
    lists = st.sampled_from(sizes).flatmap(lambda n: st.lists(SEEDS, min_size=n, max_size=n))
    # Hypothesis likes to repeat numbers; the n-th of the same ones is another source.
    return lists.map(lambda found: [random.Random(f"{seed} {found[:n].count(seed)}") for n, seed in enumerate(found)])


@st.composite
def stories(draw: st.DrawFn, now: datetime) -> Story:
    story = Story(now)
    known = [registered(now, n, chance) for n, chance in enumerate(draw(seeds(0, 3, 8, 12, 12)))]
    happened: list[Hit | Event] = []
    if known:
        for chance in draw(seeds(0, 10, 60, 90, 120)):
            happened.append((hits if chance.random() < 0.35 else told)(now, known, chance))
        for chance in draw(seeds(0, 1, 3, 6)):
            happened += blast(now, known, chance)
    keyed = set(draw(st.lists(st.integers(0, 90), max_size=20)))
    used: set[int] = set()
    for n, record in enumerate(happened):
        while record.at in used:  # one thing at a time, so that histories have one order
            record = _later(record)
        used.add(record.at)
        if isinstance(record, Event) and n in keyed:
            record = _keyed(record, n)
            story.again += [record] * (n % 3)
        story.records.append(record)
    late = known[draw(st.sampled_from([0, 0, 0, 1])) :]  # sometimes a message is never registered
    story.records += [*late, *(received(now, chance) for chance in draw(seeds(0, 2, 6)))]
    story.again += late[:2]
    story.records += [change(now, chance) for chance in draw(seeds(0, 1, 3))]
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

"""What a world's trackers are told: messages, hits, events. Each has a time of its own, by which it is known again."""

from __future__ import annotations

import random

from postmeter.shared.stream import records
from postmeter.shared.stream.events import BounceType, EventType
from postmeter.shared.stream.records import Event, Hit, Registration
from postmeter.shared.stream.streams import slot_of
from postmeter.tracking.durable.batch import Keyed
from tests.simulation.outside import EPOCH

SECOND = 1_000_000
MINUTE = 60 * SECOND
DOMAIN = "shop.example"
AGENTS = (b"Thunderbird", b"Mozilla/5.0", b"Thunderbird 2")
TYPES = (
    EventType.SENT,
    EventType.SENT,
    EventType.SENT,
    EventType.DELIVERED,
    EventType.DELIVERED,
    EventType.REPLIED,
    EventType.UNSUBSCRIBED,
    EventType.OPENED,
    EventType.CLICKED,
    EventType.BOUNCED,
)


class Mail:
    """Draws them. Times are seldom in order: what is told may have happened minutes ago."""

    def __init__(self, chance: random.Random, messages: int) -> None:
        self._chance = chance
        self._messages = messages
        self._times: set[int] = set()

    def message(self, n: int) -> tuple[int, bytes]:
        """(workspace, id) of the n-th."""
        return 1 + n % 2, ((EPOCH * 1000) << 80 | 7 << 76 | 2 << 62 | n * 7919).to_bytes(16, "big")

    def registration(self, n: int, at: int) -> Registration:
        workspace, message = self.message(n)
        return Registration(
            at=at,
            workspace=workspace,
            message=message,
            created=EPOCH * SECOND + n * SECOND,
            campaign=("", "spring", "autumn")[n % 3],
            campaign_name="",
            from_address=f"news@{DOMAIN}",
            from_domain=DOMAIN,
            to_hash=f"{n:064x}",
            to_domain="reader.example",
            subject="Hello",
            provider="",
            provider_account="",
            provider_message="",
            template="",
            tags=[],
            links=2,
        )

    def hit(self, at: int) -> Hit:
        """An open or a click of any message, seen at that time."""
        workspace, message = self.message(self._chance.randrange(self._messages))
        url = self._chance.choice(("", "", "https://shop.example/a", "https://shop.example/b"))
        agent = self._chance.choice(AGENTS)
        return Hit(self._unique(at), workspace, message, url, self._chance.random() < 0.1, agent, "203.0.113.77")

    def event(self, at: int) -> Event:
        """Something told by its sender, under a key of its own."""
        workspace, message = self.message(self._chance.randrange(self._messages))
        kind = self._chance.choice(TYPES)
        at = self._unique(at - self._chance.choice((0, 0, SECOND, 10 * MINUTE)))
        return Event(
            at=at,
            received=at,
            workspace=workspace,
            type=int(kind),
            message=message,
            provider="",
            provider_message="",
            key=records.idempotency_key(workspace, str(at)),
            digest=at.to_bytes(8, "big"),
            bounce=int(self._chance.choice(list(BounceType))) if kind == EventType.BOUNCED else 0,
            reason="",
            url="https://shop.example/a" if kind == EventType.CLICKED else "",
            user_agent=b"Thunderbird" if kind in (EventType.OPENED, EventType.CLICKED) else b"",
            ip="",
            domain="",
            size_bytes=0,
            spam=False,
            claimed=None,
        )

    def _unique(self, at: int) -> int:
        while at in self._times:
            at += 1
        self._times.add(at)
        return at


def keyed(record: Hit | Event | Registration) -> Keyed:
    """As the committer takes it."""
    return slot_of(record.workspace, record.message), records.encode(record)

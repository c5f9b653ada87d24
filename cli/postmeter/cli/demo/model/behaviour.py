"""What becomes of one mail: whether it arrives, and who opens, clicks, answers, buys, complains or leaves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from postmeter.cli.demo.model import bounces, machines, mailboxes
from postmeter.cli.demo.model.audience import BOUNCE, COMPLAIN, Person
from postmeter.cli.demo.model.campaigns import Campaign
from postmeter.cli.demo.model.clients import CLIENTS
from postmeter.cli.demo.model.company import PRODUCTS
from postmeter.cli.demo.model.habits import read_at
from postmeter.cli.demo.model.machines import Visit
from postmeter.cli.demo.model.moments import DAY, HOUR, MINUTE, SECOND

LONGEST = 8 * DAY
"""Nothing is heard of a mail for longer."""
_DEFERRED = 0.012
_GIVEN_UP = 0.005
_RELAYED = 0.9
"""How many mails Apple's relay fetches the images of."""
_GMAIL_AHEAD = 0.04
_AGAIN = 0.22
_MORE_CLICKS = 0.3
_PASSED_ON = 0.01
_CRAWLED = 0.002
_LOYAL = 0.4
"""How many of those who leave looked at that mail first."""


class Letter(NamedTuple):
    """One mail. last: after it its reader leaves. blocked: its mailbox provider takes nothing from us that day."""

    person: Person
    campaign: Campaign
    created: int
    last: bool = False
    blocked: bool = False


class Event(NamedTuple):
    """What `POST /v1/events` is sent. more: the fields that its type has."""

    at: int
    type: str
    more: dict[str, str]


class Purchase(NamedTuple):
    """What `POST /api/v1/track/purchase` is sent. items: (name, cents)."""

    at: int
    address: str
    currency: str
    items: tuple[tuple[str, int], ...]

    @property
    def cents(self) -> int:
        """What it costs."""
        return sum(cents for _, cents in self.items)


def course(noise: random.Random, letter: Letter) -> Iterator[Event | Purchase]:
    """Everything that happens to a mail, in no order; nothing before it is created."""
    sent = letter.created + noise.randrange(SECOND, 25 * SECOND)
    yield Event(sent, "sent", {})
    delivered = None
    for event in _delivery(noise, letter, sent):
        if event.type == "delivered":
            delivered = event.at
        yield event
    if delivered is None:
        return
    end = letter.created + LONGEST
    for found in _afterwards(noise, letter, delivered):
        if found.at < end:
            yield found


def purchase(noise: random.Random, person: Person, at: int) -> Purchase:
    """Somebody buys one to three things."""
    chosen = noise.choices(PRODUCTS, [product.weight for product in PRODUCTS], k=noise.choice((1, 1, 2, 2, 3)))
    items = tuple((product.name, product.cents) for product in chosen)
    return Purchase(at, person.address, "USD" if person.american else "EUR", items)


def _delivery(noise: random.Random, letter: Letter, sent: int) -> Iterator[Event]:
    person = letter.person
    soon = sent + round(noise.lognormvariate(0.9, 0.8) * SECOND)
    if letter.blocked:
        if noise.random() < 0.25:
            yield Event(soon, "deferred", {"reason": bounces.BLOCKED_FOR_NOW})
            soon += noise.randrange(20 * MINUTE, 6 * HOUR)
        yield _bounced(soon, "soft", noise.choice(bounces.BLOCKED))
    elif letter.last and person.leaving == BOUNCE:
        yield _bounced(soon, "hard", bounces.unknown(noise, person.provider, person.address))
    elif noise.random() < _GIVEN_UP:
        for _ in range(noise.randrange(1, 3)):
            yield Event(soon, "deferred", {"reason": bounces.later(noise, person.address)})
            soon += noise.randrange(HOUR, 24 * HOUR)
        yield _bounced(soon, "soft", bounces.soft(noise, person.provider, person.address))
    else:
        if noise.random() < _DEFERRED:
            yield Event(soon, "deferred", {"reason": bounces.later(noise, person.address)})
            soon += noise.randrange(4 * MINUTE, 45 * MINUTE)
        yield Event(soon, "delivered", {})


def _bounced(at: int, kind: str, reason: str) -> Event:
    return Event(at, "bounced", {"bounce_type": kind, "reason": reason})


def _afterwards(noise: random.Random, letter: Letter, delivered: int) -> Iterator[Event | Purchase]:
    """What people and machines do with a mail that arrived."""
    person, campaign = letter.person, letter.campaign
    client, urls = CLIENTS[person.client], [link.url for link in campaign.links]
    if person.provider == "gmail" and noise.random() < _GMAIL_AHEAD:
        yield _visited(machines.gmail_ahead(noise, delivered))
    if person.scanner:
        yield from map(_visited, machines.scan(noise, person.scanner, delivered, urls))
    if noise.random() < _CRAWLED:
        yield _visited(machines.crawl(noise, delivered, noise.choice(urls)))
    if client.ahead and noise.random() < _RELAYED:
        relayed = delivered + round(noise.expovariate(1 / (50 * MINUTE)))
        yield _visited(Visit(relayed, None, client.images, person.ip))
    if letter.last:
        yield from _leaving(noise, letter, delivered)
    if noise.random() < min(0.95, person.reads * campaign.appeal * campaign.kind.appeal):
        yield from _reading(noise, letter, read_at(noise, person, delivered, campaign.id == "password-reset"))


def _leaving(noise: random.Random, letter: Letter, delivered: int) -> Iterator[Event]:
    """Somebody has enough of it; if their mailbox provider does not report complaints, nothing is heard of it."""
    at = read_at(noise, letter.person, delivered, False)
    kind = {COMPLAIN: "complained", "unsubscribe": "unsubscribed"}.get(letter.person.leaving)
    if kind is None or (kind == "complained" and letter.person.provider not in mailboxes.REPORTING):
        return
    client = CLIENTS[letter.person.client]
    if not client.ahead and noise.random() < _LOYAL:
        yield _visited(Visit(at, None, client.images, letter.person.ip))
    yield Event(at + noise.randrange(5 * SECOND, 2 * MINUTE), kind, {})


def _reading(noise: random.Random, letter: Letter, at: int) -> Iterator[Event | Purchase]:
    """Somebody reads, once or several times, and may follow links, answer and buy."""
    person, campaign = letter.person, letter.campaign
    client = CLIENTS[person.client]
    if not client.ahead:
        yield _visited(Visit(at, None, client.images, person.ip))
        again = at
        while noise.random() < _AGAIN:
            again += noise.randrange(10 * MINUTE, 30 * HOUR)
            yield _visited(Visit(again, None, client.images, person.ip))
    if noise.random() < campaign.kind.replies:
        yield Event(at + noise.randrange(2 * MINUTE, 5 * HOUR), "replied", {})
    if noise.random() < min(0.9, person.clicks * campaign.pull * campaign.kind.pull):
        yield from _clicking(noise, letter, at + noise.randrange(4 * SECOND, 3 * MINUTE))


def _clicking(noise: random.Random, letter: Letter, at: int) -> Iterator[Event | Purchase]:
    person, campaign = letter.person, letter.campaign
    browser = noise.choice(CLIENTS[person.client].browsers)
    weights = [link.weight for link in campaign.links]
    clicked = at
    while True:
        url = noise.choices(campaign.links, weights)[0].url
        yield _visited(Visit(clicked, url, browser, person.ip))
        if noise.random() < _PASSED_ON:
            yield _visited(machines.preview(noise, clicked, url))
        if noise.random() >= _MORE_CLICKS:
            break
        clicked += noise.randrange(15 * SECOND, 20 * MINUTE)
    if noise.random() < campaign.sells * campaign.kind.sells:
        yield purchase(noise, person, clicked + round(noise.lognormvariate(2.6, 1.2) * MINUTE))


def _visited(visit: Visit) -> Event:
    kind = "opened" if visit.url is None else "clicked"
    link = {} if visit.url is None else {"url": visit.url}
    return Event(visit.at, kind, {**link, "user_agent": visit.agent, "ip": visit.ip})

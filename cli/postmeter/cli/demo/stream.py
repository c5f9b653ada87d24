"""What is still to come: mails, events and purchases in the order of their time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any

from postmeter.cli.demo import feed as feeding
from postmeter.cli.demo.feed import Feed
from postmeter.cli.demo.model.behaviour import Purchase
from postmeter.cli.demo.model.history import Day, Mail


class Stream:
    """Holds what was made ahead, at most some days, and sends what is due."""

    def __init__(self) -> None:
        self._mails: list[tuple[int, str, Mail]] = []
        self._events: list[tuple[int, str, dict[str, Any]]] = []
        self._purchases: list[tuple[int, str, Purchase]] = []

    def add(self, mails: Iterable[Mail], after: int) -> None:
        """Take up mails and what becomes of them, so far as it is later than `after`."""
        for mail in mails:
            if mail.letter.created > after:
                heapq.heappush(self._mails, (mail.letter.created, mail.id.hex, mail))
            for key, event in mail.events:
                if event.at > after:
                    heapq.heappush(self._events, (event.at, key, feeding.told(mail, key, event)))
            self._buy(mail.purchases, after)

    def add_day(self, day: Day, after: int) -> None:
        """Take up a day, so far as it is later than `after`."""
        self.add(day.mails, after)
        for item in day.received:
            if item.at > after:
                heapq.heappush(self._events, (item.at, item.key, feeding.received(item)))
        self._buy(day.purchases, after)

    async def send(self, feed: Feed, until: int) -> None:
        """Send all that is due by `until`: mails before what happens to them, clicks before purchases."""
        mails = _due(self._mails, until)
        if mails:
            await feed.register(mails)
        if events := _due(self._events, until):
            await feed.tell(events)
        if purchases := _due(self._purchases, until, keyed=True):
            await feed.buy(purchases)

    def _buy(self, purchases: Iterable[tuple[str, Purchase]], after: int) -> None:
        for order, purchase in purchases:
            if purchase.at > after:
                heapq.heappush(self._purchases, (purchase.at, order, purchase))


def _due(heap: list[Any], until: int, *, keyed: bool = False) -> list[Any]:
    """Take what is due off a heap."""
    found = []
    while heap and heap[0][0] <= until:
        _, key, item = heapq.heappop(heap)
        found.append((key, item) if keyed else item)
    return found

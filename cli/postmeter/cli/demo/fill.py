"""Fills the history: day by day, the newest first, each with what became of its mail until now."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from postmeter.cli.demo import feed as feeding
from postmeter.cli.demo.feed import Feed
from postmeter.cli.demo.model.behaviour import Purchase
from postmeter.cli.demo.model.calendar import DAYS
from postmeter.cli.demo.model.history import Day, History, campaigns
from postmeter.cli.demo.progress import Progress

SAY_SECONDS = 2.0
DAYS_BEHIND = 8
"""Days whose purchases may wait while others are sent: what is not counted yet is bounded by that."""


class Fill:
    """Sends what is left of the history."""

    def __init__(self, history: History, feed: Feed, progress: Progress, save: Callable[[], None]) -> None:
        self._history = history
        self._feed = feed
        self._progress = progress
        self._save = save
        self._named: set[str] = set()

    async def run(self, say: Callable[[str], None]) -> None:
        """Send it, and say how far it is. When it returns, everything is counted."""
        began = said = time.monotonic()
        left = list(reversed(self._progress.days))
        coming = self._made(left[0]) if left else None
        buying: deque[tuple[int, asyncio.Task[None]]] = deque()
        for place, number in enumerate(left):
            assert coming is not None
            day = await coming
            # Made in a thread while the product is busy with the day before.
            coming = self._made(left[place + 1]) if place + 1 < len(left) else None
            buying.append((number, asyncio.create_task(self._feed.buy(await self._send(day)))))
            if len(buying) > DAYS_BEHIND:
                await self._finish(*buying.popleft())
            if time.monotonic() - said > SAY_SECONDS:
                said = time.monotonic()
                say(f"{DAYS - number} of {DAYS} days: {self._counts()} in {said - began:.0f} s")
        for number, task in buying:
            await self._finish(number, task)
        say(f"all {DAYS} days are there: {self._counts()} in {time.monotonic() - began:.0f} s")

    async def _finish(self, number: int, task: asyncio.Task[None]) -> None:
        """A day is done when its purchases are attributed, which is when all before them is counted."""
        await task
        self._progress.days.remove(number)
        self._save()

    def _made(self, number: int) -> asyncio.Task[Day]:
        return asyncio.create_task(asyncio.to_thread(self._history.day, number))

    async def _send(self, day: Day) -> list[tuple[str, Purchase]]:
        """Send a day's mails and events, and return its purchases, which are to follow."""
        until = self._progress.until
        mails = [mail for mail in day.mails if mail.letter.created <= until]
        for campaign in campaigns(mails).values():
            if campaign.id not in self._named:
                self._named.add(campaign.id)
                await self._feed.name(campaign)
        await self._feed.register(mails)
        events = [feeding.told(mail, key, event) for mail in mails for key, event in mail.events if event.at <= until]
        await self._feed.tell(events + [feeding.received(item) for item in day.received if item.at <= until])
        bought = [each for mail in mails for each in mail.purchases] + day.purchases
        return [(order, purchase) for order, purchase in bought if purchase.at <= until]

    def _counts(self) -> str:
        feed = self._feed
        return f"{feed.mails:,} mails, {feed.events:,} events, {feed.purchases:,} purchases"

"""Goes on from where the history ends: what was still to come happens in its time, and live traffic beside it.

So a demo that was stopped for days has these days, too, when it is started again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from postmeter.cli.demo.feed import Feed
from postmeter.cli.demo.model.behaviour import LONGEST
from postmeter.cli.demo.model.calendar import DAYS
from postmeter.cli.demo.model.history import History
from postmeter.cli.demo.model.live import Live
from postmeter.cli.demo.model.moments import DAY, SECOND
from postmeter.cli.demo.progress import Progress
from postmeter.cli.demo.stream import Stream

PAUSE_SECONDS = 0.5
SAVE_EVERY = 10 * SECOND
"""What was sent since is sent again after a crash, under the same ids."""


class Play:
    """Plays days as they come, the present one too."""

    def __init__(self, history: History, feed: Feed, progress: Progress, save: Callable[[], None]) -> None:
        self._history = history
        self._feed = feed
        self._progress = progress
        self._save = save
        # Of a very long time that was missed, its last days are enough.
        progress.until = max(progress.until, now() - DAYS * DAY)
        self._saved = progress.until
        self._stream = Stream()
        self._loaded = max(0, self._day(progress.until - LONGEST))
        """The first day that the stream has not taken up."""

    async def catch_up(self) -> None:
        """Play what was missed since it was stopped."""
        try:
            await self._forward(now())
        finally:
            self._save()

    async def run(self) -> None:
        """Play what comes, with live traffic beside it, until it is cancelled."""
        try:
            live = Live(now(), self._history.people(self._day(now())), random.Random())
            while True:
                await asyncio.sleep(PAUSE_SECONDS)
                until = now()
                self._stream.add(live.begun(until), self._progress.until)
                await self._forward(until)
        finally:
            self._save()

    async def _forward(self, until: int) -> None:
        """Play until then, a day at a time, so that no more of them are held than needed."""
        while True:
            end = min(until, self._history.calendar.start(self._loaded) - 1)
            if end > self._progress.until:
                await self._stream.send(self._feed, end)
                self._progress.until = end
                if end - self._saved > SAVE_EVERY:
                    self._saved = end
                    self._save()
            if end == until:
                return
            await self._load()

    async def _load(self) -> None:
        day = await asyncio.to_thread(self._history.day, self._loaded)
        self._stream.add_day(day, self._progress.until)
        self._loaded += 1

    def _day(self, at: int) -> int:
        return (at - self._history.calendar.start(0)) // DAY


def now() -> int:
    """The present moment."""
    return time.time_ns() * SECOND // 10**9

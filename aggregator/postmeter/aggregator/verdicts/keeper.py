"""Keeps the list of networks up to date from a file or a URL, without a restart."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import aiohttp

from postmeter.aggregator.verdicts.networks import Networks, NetworksError
from postmeter.shared import logs, metrics

MAX_BYTES = 16 << 20
FETCH_SECONDS = 30.0


class NetworksKeeper:
    """`networks` are those known now: the shipped ones until `place`, a path or an http(s) URL, was read.

    A list that cannot be read or is wrong leaves the one before in its place, and says so.
    """

    def __init__(self, place: str, interval: float, counters: metrics.AggregatorMetrics) -> None:
        self.networks = Networks.shipped()
        self._place = place
        self._interval = interval
        self._counters = counters

    async def run(self, stop: asyncio.Event) -> None:
        """Read the list now and every `interval` seconds until `stop` is set."""
        while self._place and not stop.is_set():
            await self.refresh()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), self._interval)

    async def refresh(self) -> None:
        """Read the list once. Never raises for what is wrong with it."""
        try:
            text = await self._text()
            self.networks = await asyncio.to_thread(Networks.read, text)
        except (NetworksError, OSError, UnicodeDecodeError, aiohttp.ClientError, TimeoutError) as error:
            self._counters.networks_refreshes.labels("failed").inc()
            logs.get().error("networks not read; those of before stay", place=self._place, error=repr(error))
        else:
            self._counters.networks_refreshes.labels("read").inc()

    async def _text(self) -> str:
        if not self._place.startswith(("http://", "https://")):
            return await asyncio.to_thread(Path(self._place).read_text)
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self._place) as answer:
            answer.raise_for_status()
            body = await answer.content.read(MAX_BYTES + 1)
            while len(body) <= MAX_BYTES and (more := await answer.content.read(MAX_BYTES)):
                body += more
            if len(body) > MAX_BYTES:
                raise NetworksError(f"more than {MAX_BYTES} bytes")
            return body.decode()

"""Keeps a list that verdicts go by up to date from a file or a URL, without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import aiohttp
from prometheus_client import Counter

from postmeter.shared.process import logs

Known = TypeVar("Known")
MAX_BYTES = 16 << 20
FETCH_SECONDS = 30.0


class ListKeeper(Generic[Known]):
    """`known` is the list known now: the shipped one until `place`, a path or an http(s) URL, was read.

    A list that cannot be read or is wrong leaves the one before in its place, and says so. `refreshes` counts the
    readings by `result`.
    """

    def __init__(
        self, shipped: Known, read: Callable[[str], Known], place: str, interval: float, refreshes: Counter
    ) -> None:
        self.known = shipped
        self._read = read
        self._place = place
        self._interval = interval
        self._refreshes = refreshes

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
            self.known = await asyncio.to_thread(self._read, text)
        except (OSError, ValueError, aiohttp.ClientError, TimeoutError) as error:
            self._refreshes.labels("failed").inc()
            logs.get().error(
                "a list of verdicts not read; the previous one stays in use", place=self._place, error=logs.words(error)
            )
        else:
            self._refreshes.labels("read").inc()

    async def _text(self) -> str:
        if not self._place.startswith(("http://", "https://")):
            return await asyncio.to_thread(self._file)
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self._place) as answer:
            answer.raise_for_status()
            body = await answer.content.read(MAX_BYTES + 1)
            while len(body) <= MAX_BYTES and (more := await answer.content.read(MAX_BYTES)):
                body += more
            return _bounded(body)

    def _file(self) -> str:
        with Path(self._place).open("rb") as file:
            return _bounded(file.read(MAX_BYTES + 1))


def _bounded(body: bytes) -> str:
    if len(body) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    return body.decode()

"""Traffic whose every attempt is remembered, so that the counts can be compared with it afterwards.

Each attempt at a hit carries a user agent of its own, which the event history keeps. Each event carries an
idempotency key and is sent until it is accepted.
"""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

AGENT = "load-test/"
ANSWER_SECONDS = 5.0


@dataclass
class Ledger:
    """What was sent and what was answered."""

    attempted: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    unanswered: int = 0
    served_uncounted: int = 0
    registered: list[dict[str, Any]] = field(default_factory=list)
    delivered: set[str] = field(default_factory=set)
    retried_writes: int = 0
    repeated_writes: int = 0


class Load:
    """Readers and one sender against a running product, until `stop` is set."""

    def __init__(self, gateway: str, tracking: str, headers: dict[str, str], ledger: Ledger, seed: int) -> None:
        self._gateway = gateway
        self._tracking = tracking
        self._headers = headers
        self._ledger = ledger
        self._random = random.Random(seed)
        self.stop = asyncio.Event()

    async def run(self, readers: int) -> None:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await self._register(session)
            await asyncio.gather(self._send(session), *(self._read(session) for _ in range(readers)))
            await self._deliver(session, accepted_times=2)

    async def _until_stopped(self, step: Callable[[], Awaitable[None]], pause: float) -> None:
        while not self.stop.is_set():
            await step()
            await asyncio.sleep(pause)

    async def _read(self, session: aiohttp.ClientSession) -> None:
        await self._until_stopped(lambda: self._hit(session), 0.1)

    async def _send(self, session: aiohttp.ClientSession) -> None:
        async def step() -> None:
            await self._register(session)
            await self._deliver(session)

        await self._until_stopped(step, 0.1)

    async def _hit(self, session: aiohttp.ClientSession) -> None:
        message = self._random.choice(self._ledger.registered)
        url = self._random.choice([message["open_url"], message["links"][0]["tracking_url"]])
        if self._random.random() < 0.3:
            url = url.replace(self._tracking, self._gateway)
        agent = f"{AGENT}{uuid.uuid4().hex}"
        self._ledger.attempted.add(agent)
        try:
            async with session.get(url, headers={"User-Agent": agent}, allow_redirects=False) as answer:
                await answer.read()
                if "Postmeter-Dropped" in answer.headers:
                    self._ledger.served_uncounted += 1
                elif answer.status in (200, 302):
                    self._ledger.answered.add(agent)
                else:
                    self._ledger.unanswered += 1
        except (aiohttp.ClientError, TimeoutError):
            self._ledger.unanswered += 1

    async def _write(
        self, session: aiohttp.ClientSession, path: str, body: dict[str, Any], accepted_times: int = 1
    ) -> Any:
        """Send until accepted so often; now and then once more after that, which must change nothing."""
        accepted = None
        while accepted_times > 0 or self._random.random() < 0.2:
            try:
                async with session.post(self._gateway + path, json=body, headers=self._headers) as answer:
                    if answer.status in (201, 202):
                        self._ledger.repeated_writes += accepted is not None
                        accepted = await answer.json()
                        accepted_times -= 1
                        continue
                    assert answer.status >= 500, await answer.text()
            except (aiohttp.ClientError, TimeoutError):
                pass
            self._ledger.retried_writes += 1
            await asyncio.sleep(0.05)
        return accepted

    async def _register(self, session: aiohttp.ClientSession) -> None:
        message = {
            "id": str(uuid.uuid4()),
            "campaign_id": "faults",
            "from_address": "a@faults.example",
            "to": "b@c.example",
            "html": '<a href="http://127.0.0.1:9/x?y=1&amp;z=2">x</a>',
        }
        self._ledger.registered.append((await self._write(session, "/v1/messages", message))["data"])

    async def _deliver(self, session: aiohttp.ClientSession, accepted_times: int = 1) -> None:
        keys = [uuid.uuid4().hex for _ in range(5)]
        recent = self._ledger.registered[-20:]
        events = [{"type": "delivered", "id": key, "message_id": self._random.choice(recent)["id"]} for key in keys]
        self._ledger.delivered.update(keys)
        await self._write(session, "/v1/events", {"events": events}, accepted_times)

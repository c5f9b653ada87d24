"""Opens, clicks and events at a running cluster, each with a name of its own, and what became of it."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.deploy.http import Answer, Caller, Unanswered

if TYPE_CHECKING:
    from tests.deploy.cluster import Cluster

AGENT = "rollout-test/"
PACE = 0.05
"""Seconds between two requests of one reader: the load is bounded, not as much as goes."""


@dataclass
class Ledger:
    """Hits by user agent, events by id. `marked`: served with `Postmeter-Dropped`, which counts nothing."""

    campaign: str
    sent: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    events_sent: set[str] = field(default_factory=set)
    events_accepted: set[str] = field(default_factory=set)
    marked: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    messages: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0

    def __str__(self) -> str:
        return (
            f"{self.campaign}: hits sent {len(self.sent)}, answered {len(self.answered)}, marked {dict(self.marked)};"
            f" events sent {len(self.events_sent)}, accepted {len(self.events_accepted)};"
            f" unanswered {dict(self.unanswered)}; connections refused and tried again {self.refused}"
        )


class Traffic:
    """Readers that keep their connections and readers that do not, at both doors; senders of events and of mails."""

    MESSAGES = 5
    """The first ones; from then on there are four new ones a second."""

    def __init__(self, cluster: Cluster, doors: tuple[str, str], key: str, campaign: str) -> None:
        self._cluster, (self._tracking, self._gateway) = cluster, doors
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.ledger = Ledger(campaign)
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._random = random.Random(campaign)

    async def start(self) -> None:
        """Register messages, then begin."""
        sender = Caller(self._cluster, self._gateway, keep=False)
        for _ in range(self.MESSAGES):
            await self._register(sender)
        doors = [self._tracking, self._tracking, self._gateway]
        for door, keep in itertools.product(doors, (True, False)):
            self._tasks.append(asyncio.create_task(self._read(Caller(self._cluster, door, keep=keep))))
        for keep in (True, False):
            self._tasks.append(asyncio.create_task(self._send(Caller(self._cluster, self._gateway, keep=keep))))
        self._tasks.append(asyncio.create_task(self._mail(sender)))

    async def stop(self) -> Ledger:
        """Let what is under way end."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
        return self.ledger

    async def grown(self, hits: int) -> None:
        """Wait until so many more hits have been answered."""
        goal = len(self.ledger.answered) + hits
        await self._cluster.until("answered hits", lambda: len(self.ledger.answered) >= goal)

    async def _mail(self, caller: Caller) -> None:
        while not self._stop.is_set():
            await self._register(caller)
            await asyncio.sleep(0.25)
        self._end(caller)

    async def _register(self, caller: Caller) -> None:
        body = {
            "id": str(uuid.uuid4()),
            "campaign_id": self.ledger.campaign,
            "from_address": "a@rollout.example",
            "to": "b@c.example",
            "html": '<a href="http://c.example/x?y=1">x</a>',
        }
        answer = await self._ask(caller, "POST", "/v1/messages", self._headers, json.dumps(body).encode())
        if answer is not None:
            self.ledger.messages.append(json.loads(answer.body)["data"])

    async def _read(self, caller: Caller) -> None:
        while not self._stop.is_set():
            message = self._pick()
            url = self._random.choice([message["open_url"], message["links"][0]["tracking_url"]])
            agent = f"{AGENT}{uuid.uuid4().hex}"
            self.ledger.sent.add(agent)
            answer = await self._ask(caller, "GET", "/" + url.split("/", 3)[3], {"User-Agent": agent})
            if answer is not None and "postmeter-dropped" in answer.headers:
                self.ledger.marked[answer.headers["postmeter-dropped"]] += 1
            elif answer is not None:
                self.ledger.answered.add(agent)
            await asyncio.sleep(PACE)
        self._end(caller)

    def _pick(self) -> dict[str, Any]:
        """Half of all is about the newest mails, so that what was just signed is soon asked for."""
        messages = self.ledger.messages
        return self._random.choice(messages[-self.MESSAGES :] if self._random.random() < 0.5 else messages)

    async def _send(self, caller: Caller) -> None:
        while not self._stop.is_set():
            ids = {uuid.uuid4().hex for _ in range(3)}
            message = self._pick()["id"]
            events = [{"type": "delivered", "id": one, "message_id": message} for one in ids]
            self.ledger.events_sent |= ids
            body = json.dumps({"events": events}).encode()
            if await self._ask(caller, "POST", "/v1/events", self._headers, body) is not None:
                self.ledger.events_accepted |= ids
            await asyncio.sleep(5 * PACE)
        self._end(caller)

    async def _ask(self, caller: Caller, *request: Any) -> Answer | None:
        try:
            answer = await caller.ask(*request)
        except Unanswered as why:
            self.ledger.unanswered[str(why)] += 1
            return None
        if answer.status not in (200, 201, 202, 302):
            self.ledger.unanswered[f"{answer.status}: {request[1].split('/')[1]} {answer.body[:200]!r}"] += 1
            return None
        return answer

    def _end(self, caller: Caller) -> None:
        self.ledger.refused += caller.refused
        caller.close()

"""Long mails take turns: each workspace has one at work, and those of a list wait no longer than one alone."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from postmeter.shared.auth.principal import Principal
from postmeter.tracking.html.instrumentation import Instrument
from postmeter.tracking.writes import message_body, messages
from tests import sealing
from tests.product import PATIENCE, wait_for
from tests.webhooks.posting import running_tracking

MAIL = {"from_address": "a@b.example", "to": "c@d.example", "html": "x" * (messages.SHORT_HTML + 1)}


@dataclass
class Mails:
    """A tracking-service that instruments one mail each time that `gate` is released."""

    session: aiohttp.ClientSession
    url: str
    gate: threading.Semaphore
    read: int = 0
    """How many mails have come as far as their turn."""
    begun: list[int] = field(default_factory=list)
    """Whose mails had their turn."""

    async def post(self, workspace: int, body: object) -> tuple[int, Any]:
        who = Principal(key_id="k", workspace=workspace, workspace_id="w", role="admin", scopes=["track"], domains=None)
        async with self.session.post(f"{self.url}/v1/messages", json=body, headers=sealing.named(who)) as answer:
            return answer.status, await answer.json()

    async def waiting(self, mails: int) -> None:
        """Until so many have come, and one of them is at work."""
        what = f"{mails} mails, one of them at work"
        await asyncio.to_thread(wait_for, what, lambda: self.read >= mails and bool(self.begun))


@pytest.fixture
async def mails(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mails]:
    apply, read = Instrument.apply, message_body.read
    async with running_tracking(redis_url, 1, tmp_path, {}) as url, sealing.session() as session:
        made = Mails(session, url, threading.Semaphore(0))

        def held(own: Instrument, html: str, workspace: int, *given: Any, **options: Any) -> Any:
            made.begun.append(workspace)
            made.gate.acquire()
            return apply(own, html, workspace, *given, **options)

        def noted(body: Any) -> Any:
            made.read += 1
            return read(body)

        monkeypatch.setattr(Instrument, "apply", held)
        monkeypatch.setattr(message_body, "read", noted)
        try:
            yield made
        finally:
            made.gate.release(messages.MAX_MESSAGES)  # else a test that fails would never end


async def test_those_of_one_workspace_hold_up_no_other(mails: Mails) -> None:
    """They wait behind each other; who has sent one alone waits for the one at work."""
    posted = [asyncio.create_task(mails.post(1, MAIL)) for _ in range(3)]
    await mails.waiting(3)
    posted.append(asyncio.create_task(mails.post(2, MAIL)))
    await mails.waiting(4)
    mails.gate.release(4)
    assert {status for status, _ in await asyncio.gather(*posted)} == {201}
    assert mails.begun == [1, 2, 1, 1]


async def test_those_of_a_list_wait_once_for_all(mails: Mails, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "TURN_SECONDS", 0.2)
    slow = asyncio.create_task(mails.post(1, MAIL))
    await mails.waiting(1)
    try:
        async with asyncio.timeout(PATIENCE):  # less than a wait for each would take
            status, told = await mails.post(2, {"messages": [MAIL] * messages.MAX_MESSAGES})
    finally:
        mails.gate.release()
        assert (await slow)[0] == 201
    assert status == 503
    assert {one["code"] for one in told["rejected"]} == {"UNAVAILABLE"}
    assert len(told["rejected"]) == messages.MAX_MESSAGES

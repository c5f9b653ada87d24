"""Long mails wait for their turn, those of a list no longer than one alone."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from postmeter.shared.auth.principal import Principal
from postmeter.tracking.html.instrumentation import Instrument
from postmeter.tracking.writes import messages
from tests import sealing
from tests.product import PATIENCE
from tests.webhooks.posting import running_tracking

LONG = "x" * (messages.SHORT_HTML + 1)
MAIL = {"from_address": "a@b.example", "to": "c@d.example", "html": LONG}


def of(workspace: int) -> dict[str, str]:
    who = Principal(key_id="k", workspace=workspace, workspace_id="w", role="admin", scopes=["track"], domains=None)
    return sealing.named(who)


async def test_the_mails_of_a_list_wait_once_for_all(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun, apply = threading.Event(), threading.Event(), Instrument.apply

    def held(*given: Any, **options: Any) -> Any:
        begun.set()
        gate.wait()
        return apply(*given, **options)

    monkeypatch.setattr(Instrument, "apply", held)
    monkeypatch.setattr(messages, "TURN_SECONDS", 0.2)
    async with running_tracking(redis_url, 1, tmp_path, {}) as url, sealing.session() as session:
        path = f"{url}/v1/messages"
        slow = asyncio.create_task(session.post(path, json=MAIL, headers=of(1)))
        try:
            await asyncio.to_thread(begun.wait, PATIENCE)
            async with asyncio.timeout(PATIENCE):  # less than a wait for each would take
                several = {"messages": [MAIL] * messages.MAX_MESSAGES}
                answer = await session.post(path, json=several, headers=of(2))
            told = await answer.json()
        finally:
            gate.set()
            assert (await slow).status == 201
        assert answer.status == 503
        assert {one["code"] for one in told["rejected"]} == {"UNAVAILABLE"}
        assert len(told["rejected"]) == messages.MAX_MESSAGES

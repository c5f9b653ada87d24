"""What a service warns of is looked at again."""

import asyncio

import pytest
from structlog.testing import capture_logs

from postmeter.shared.process import advice
from postmeter.shared.process.advice import Advice
from tests.waiting import until_so


async def test_what_was_mended_is_soon_not_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that finds something is taken again after seconds, one that finds nothing after minutes."""
    monkeypatch.setattr(advice, "SOON_SECONDS", 0.001)
    said = iter(["the clock is off", "the clock is off", None])

    async def look() -> str | None:
        return next(said)

    looks = Advice({"clock": look})

    with capture_logs() as lines:
        running = asyncio.create_task(looks.run())
        await until_so(lambda: bool(lines) and looks.now() == {"clock": None})
        running.cancel()
        await asyncio.wait([running])
    assert [line["event"] for line in lines] == ["the clock is off"]

"""How a service's process lives: uvloop, logs, SIGTERM and SIGINT, one clear line for a bad setting."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from postmeter.shared.errors import PostmeterError, SettingsError
from postmeter.shared.process import heap, logs
from postmeter.shared.process.settings import AnsweringSettings, S, Settings, load

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(
    service: str, struct: type[S], serve: Callable[[S, asyncio.Event], Awaitable[None]], *, young: int = 50_000
) -> None:
    """Load the settings and run `serve(settings, stop)`; it returns soon after `stop` is set by a signal.

    young: how many new objects start a collection of garbage; Python's own 700 would cost a tenth of a service's time.

    The first SIGTERM or SIGINT sets `stop`; from then on both are ignored to the process's very end, so that a stop
    stays clean however often it is asked for.
    """
    try:
        settings = load(struct)
    except SettingsError as error:
        sys.exit(f"postmeter {service}: {error}")
    assert isinstance(settings, Settings)
    logs.configure(service, settings.log_format, settings.log_level)
    heap.settle()
    gc.freeze()  # what is imported stays
    gc.set_threshold(young, 20, 50)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask(*_: object) -> None:
            # Not the loop's own handlers: they end with the loop, and the next signal would end the process.
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            loop.call_soon_threadsafe(stop.set)

        for number in SIGNALS:
            signal.signal(number, ask)
        await serve(settings, stop)

    try:
        uvloop.run(main())
    except (PostmeterError, OSError) as error:
        sys.exit(f"postmeter {service}: {error}")


async def stopping(settings: AnsweringSettings, stop: asyncio.Event, *tasks: asyncio.Task[None]) -> None:
    """Return when `stop` is set and whoever watches /readyz has had stop_delay seconds to see it.

    Raises what ends one of the tasks before that.
    """
    told = asyncio.create_task(stop.wait())
    waiting: set[asyncio.Task[Any]] = {told, *tasks}
    while told in waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    await asyncio.sleep(settings.stop_delay)

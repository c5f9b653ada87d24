"""How a service's process lives: uvloop, logs, SIGTERM and SIGINT, one clear line for a bad setting."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from postmeter.shared import logs
from postmeter.shared.errors import PostmeterError, SettingsError
from postmeter.shared.settings import S, Settings, load


def run(service: str, struct: type[S], serve: Callable[[S, asyncio.Event], Awaitable[None]]) -> None:
    """Load the settings and run `serve(settings, stop)`; it returns soon after `stop` is set by a signal."""
    try:
        settings = load(struct)
    except SettingsError as error:
        sys.exit(f"postmeter {service}: {error}")
    assert isinstance(settings, Settings)
    logs.configure(service, settings.log_format, settings.log_level)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(settings, stop)

    try:
        uvloop.run(main())
    except (PostmeterError, OSError) as error:
        sys.exit(f"postmeter {service}: {error}")

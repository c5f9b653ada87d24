"""The process beside the services that plays the demo: `python -m postmeter.cli.demo DIR PEOPLE`."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp

from postmeter.cli.demo import progress as progresses
from postmeter.cli.demo.feed import Feed, FeedError
from postmeter.cli.demo.fill import Fill
from postmeter.cli.demo.model.audience import Audience
from postmeter.cli.demo.model.calendar import Calendar
from postmeter.cli.demo.model.history import History
from postmeter.cli.demo.play import Play, now
from postmeter.cli.demo.progress import Progress
from postmeter.cli.local import ready_file
from postmeter.cli.local.errors import LocalError

REQUEST_SECONDS = 30.0


async def run(data: Path, people: int) -> None:
    """Fill what is left of the history, then play until cancelled. Raises FeedError and LocalError."""
    ready = ready_file.read(data)
    progress = progresses.load(data) or Progress.begun(now(), people)
    save = partial(progresses.save, data, progress)
    save()
    calendar = Calendar(progress.first)
    history = History(progress.seed, calendar, Audience(progress.seed, progress.people, calendar))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS)) as session:
        feed = Feed(session, ready.gateway, ready.api_key)
        if progress.days:
            await Fill(history, feed, progress, save).run(say)
        play = Play(history, feed, progress, save)
        await play.catch_up()
        say("live traffic is on")
        await play.run()


def say(text: str) -> None:
    """Print how far it is."""
    print(f"demo: {text}", file=sys.stderr, flush=True)


async def _until_told(data: Path, people: int) -> None:
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(run(data, people))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    with suppress(asyncio.CancelledError):
        await work


def main() -> None:
    """Run it; ends with 1 and a line where the product does not take what it is sent."""
    try:
        asyncio.run(_until_told(Path(sys.argv[1]), int(sys.argv[2])))
    except* (FeedError, LocalError, OSError) as group:
        say(str(_first(group)))
        sys.exit(1)


def _first(error: BaseException) -> BaseException:
    """The first error inside exception groups: tasks that fail together mostly fail for the same reason."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    main()

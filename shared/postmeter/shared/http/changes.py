"""Changes that people ask for in Postgres: how long one may take, whatever Postgres does, and what is known then."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from postmeter.shared.errors import RequestError, Unavailable
from postmeter.shared.process import logs
from postmeter.shared.process.deadlines import within
from postmeter.shared.storage.postgres import AWAY, watched_commits

SECONDS = 10.0
"""How long a change may take, with the wait for a connection. For a service's answer the gateway waits a bit longer."""

T = TypeVar("T")


async def settled(work: Awaitable[T]) -> T:
    """What the work returns within SECONDS. Raises Unavailable where Postgres does not answer, or not in time, and
    nothing was changed; RequestError 504 where nobody knows whether anything was.
    """
    with watched_commits() as committed:
        try:
            return await within(SECONDS, work)
        except AWAY as error:
            logs.get().warning(
                "what people asked for was not done", error=logs.words(error), is_known=not committed.sent
            )
            took_too_long = isinstance(error, TimeoutError)
    if committed.sent:
        message = "The database did not answer in time. Whether this was done is not known: look before you ask again."
        raise RequestError(504, "GATEWAY_TIMEOUT", message)
    trouble = "This took too long" if took_too_long else "The database does not answer now"
    raise Unavailable(f"{trouble}, and nothing was changed; try again.", 1)

"""Services know Redis' absence by one name: what uvloop adds to it is forgotten where it is spelled out again."""

import asyncio
import re
from pathlib import Path

import pytest
from redis.exceptions import OutOfMemoryError

from postmeter.shared.auth.secret import Secret
from postmeter.shared.process import logs
from postmeter.tracking.durable.appender import Appender

ROOT = Path(__file__).parents[2]
FOLDERS = ("shared", "gateway", "tracking-service", "query-service", "aggregator")
OWN_LISTS = {"redis_clients.py", "errors.py"}
"""The tuple itself, and the aggregator's, in which uvloop's words are told from errors of our own."""


def test_no_service_catches_redis_errors_by_a_list_of_its_own() -> None:
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 200
    spelled = {file.name for file in files if re.search(r"\bRedisError\b", file.read_text())}
    assert spelled == OWN_LISTS


def test_what_redis_said_is_in_the_log() -> None:
    said = "command not allowed when used memory > 'maxmemory'."
    assert said not in repr(OutOfMemoryError(said))
    assert said in logs.words(OutOfMemoryError(said))
    assert logs.words(ConnectionError(OutOfMemoryError(said))) == f'ConnectionError(OutOfMemoryError("{said}"))'
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    assert [file.name for file in files if re.search(r"\b(error|reason)=repr\(", file.read_text())] == []


class Closed(asyncio.Transport):
    """What uvloop makes of a connection that the other side has closed, before anybody is told so."""

    def write(self, data: object) -> None:
        raise RuntimeError("the handler is closed")

    def abort(self) -> None:
        pass


async def test_a_write_on_a_closed_connection_leaves_nobody_waiting() -> None:
    appender = Appender(Secret("redis://127.0.0.1:1"), 60.0)
    appender._transport = Closed()
    with pytest.raises(RuntimeError, match="closed"):
        await appender.ping()
    assert appender._waiter is None

"""When statements are planned anew: a generic plan made while a month's partition was empty takes any index for it.

An empty table has no statistics, and by Postgres' guess all indexes that begin with the workspace are then as good as
the primary key. A connection keeps such a plan, and looks through the whole month for each message, until autovacuum
has analysed the partition: a minute and more, in which every flush takes longer than the one before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date
from functools import lru_cache

from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.aggregator.store", "plans.sql")

ENOUGH = 1000
"""Messages of a month, learnt of by this process, by which Postgres can tell indexes apart from their size."""
_REMEMBERED = 256
"""Connections; a pool has fewer."""
_DAY_MS = 86_400_000
_FIRST = date(1970, 1, 1).toordinal()


class Plans:
    """Counts messages by the month of their partition, and renews the plans of connections once in each."""

    def __init__(self) -> None:
        self._learnt: Counter[int] = Counter()
        self._round = 0
        self._rounds: dict[int, int] = {}
        """By the process id of a connection's server: the round in which it was renewed last."""

    def count(self, messages: Iterable[tuple[int, bytes]]) -> None:
        """Take note of messages (workspace, id) that were registered or found."""
        ids = [message for _, message in messages]
        for month, n in _by_month(ids).items() if ids else ():
            before = self._learnt[month]
            self._learnt[month] = min(before + n, ENOUGH)
            if before < ENOUGH <= before + n:
                self._round += 1

    async def renew(self, connection: Connection) -> None:
        """Have the connection make its plans anew, if it has not since a month has got enough messages."""
        server = connection.get_server_pid()
        if self._rounds.get(server, 0) < self._round:
            await connection.execute(_QUERIES["discard_plans"])
            if len(self._rounds) >= _REMEMBERED:
                self._rounds.clear()
            self._rounds[server] = self._round


def _by_month(messages: list[bytes]) -> Counter[int]:
    # Nearly always they are all of one month, as the first and the last are: UUIDv7 sort by time.
    first, last = _month(min(messages)), _month(max(messages))
    return Counter({first: len(messages)}) if first == last else Counter(map(_month, messages))


def _month(message: bytes) -> int:
    """A number for the month of a message's UUIDv7: its partition."""
    return _month_of(int.from_bytes(message[:6], "big") // _DAY_MS)


@lru_cache(maxsize=4096)
def _month_of(day: int) -> int:
    """The same of a day since 1970. 48 bits reach beyond the calendar's last year, which is one month then."""
    found = date.fromordinal(min(day + _FIRST, date.max.toordinal()))
    return found.year * 12 + found.month

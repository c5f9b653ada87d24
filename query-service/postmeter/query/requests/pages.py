"""Pages of a list whose rows have one key in its order: as many rows as were asked for, and a cursor to the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from postmeter.query.requests import parameters
from postmeter.query.requests.cursor import Cursors, Position
from postmeter.query.requests.handler import Asked

MAX_LIMIT = 1000
Row = TypeVar("Row")


class Wanted(Protocol):
    """Which page: parameters of every such list."""

    limit: str
    cursor: str | None


class Pages:
    """Of one list. name: what its cursors are bound to beside the caller's scope; nothing else decides its rows."""

    def __init__(self, cursors: Cursors, name: bytes) -> None:
        self._cursors = cursors
        self._name = name

    async def page(
        self,
        asked: Asked,
        wanted: Wanted,
        rows_after: Callable[[int | str | None, int], Awaitable[Sequence[Row]]],
        key: Callable[[Row], int | str],
    ) -> tuple[Sequence[Row], str | None]:
        """The rows, and the next page's cursor or None. rows_after: up to so many rows behind a key (None: the first).

        Raises RequestError 400 that names the parameter.
        """

        async def rows_and_more(after: int | str | None, limit: int) -> tuple[Sequence[Row], bool]:
            rows = await rows_after(after, limit + 1)
            return rows[:limit], len(rows) > limit

        return await self.part(asked, wanted, rows_and_more, key)

    async def part(
        self,
        asked: Asked,
        wanted: Wanted,
        rows_after: Callable[[int | str | None, int], Awaitable[tuple[Sequence[Row], bool]]],
        key: Callable[[Row], int | str],
    ) -> tuple[Sequence[Row], str | None]:
        """As `page`. rows_after: up to so many rows behind a key, or fewer; and whether there are more behind them."""
        limit = parameters.limit(wanted.limit, MAX_LIMIT)
        after = None
        if wanted.cursor is not None:
            after = self._cursors.read(wanted.cursor, asked.scope, self._name).last[0]
        rows, more = await rows_after(after, limit)
        if not more:
            return rows, None
        return rows, self._cursors.write(Position(0, 0, [key(rows[-1])]), asked.scope, self._name)

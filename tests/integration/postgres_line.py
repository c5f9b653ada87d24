"""A line to Postgres that can go dead: it takes connections and bytes, and nothing comes back any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

PIECE = 1 << 16


class PostgresLine:
    """dsn: leads through it to the server. dies_after: the bytes that are the last to arrive there; None: all do.
    is_dead: whether it says nothing more.
    """

    def __init__(self, server: str) -> None:
        self._parts = urlsplit(server)
        self._query = dict(parse_qsl(self._parts.query))
        self.port = 0
        self.dies_after: bytes | None = None
        self.is_dead = False

    @property
    def dsn(self) -> str:
        account = self._parts.netloc.rpartition("@")[0]
        query = {name: value for name, value in self._query.items() if name != "host"} | {"sslmode": "disable"}
        place = f"{account}@127.0.0.1:{self.port}"
        return urlunsplit(self._parts._replace(netloc=place, query=urlencode(query)))

    async def talk(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Carry one connection both ways."""
        answers, server = await self._connected()
        async with asyncio.TaskGroup() as both:
            both.create_task(self._carry(client, server, is_asked=True))
            both.create_task(self._carry(answers, back, is_asked=False))

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if "host" in self._query:
            return await asyncio.open_unix_connection(f"{self._query['host']}/.s.PGSQL.{self._parts.port or 5432}")
        return await asyncio.open_connection(self._parts.hostname, self._parts.port or 5432)

    async def _carry(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, *, is_asked: bool) -> None:
        try:
            while piece := await source.read(PIECE):
                if not self.is_dead:
                    to.write(piece)
                if is_asked and self.dies_after is not None and self.dies_after in piece:
                    self.is_dead = True
        except ConnectionError:
            pass
        finally:
            to.close()


@asynccontextmanager
async def postgres_line(dsn: str) -> AsyncIterator[PostgresLine]:
    """A line to the server of the DSN, alive at first."""
    line = PostgresLine(dsn)
    server = await asyncio.start_server(line.talk, "127.0.0.1", 0)
    async with server:
        line.port = server.sockets[0].getsockname()[1]
        yield line

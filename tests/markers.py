"""Finds what should not be there any more: texts, in every row, every key of Redis and every file of a folder."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import redis.asyncio


class Markers:
    """Texts that tell of one recipient."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self._bytes = [text.encode() for text in texts]

    async def in_tables(self, connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
        """`table: marker` of each table of which a row holds one, in whichever column; bytes as they are, too."""
        rows = await connection.fetch(
            "SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"
        )
        assert len(rows) > 40
        found = []
        for (table,) in rows:
            for text, raw in zip(self.texts, self._bytes, strict=True):
                n = await connection.fetchval(
                    f'SELECT count(*) FROM "{table}" AS r WHERE strpos(r::text, $1) > 0 OR strpos(r::text, $2) > 0',
                    text,
                    raw.hex(),
                )
                if n:
                    found.append(f"{table}: {text}")
        return found

    async def in_redis(self, client: "redis.asyncio.Redis") -> list[str]:
        """`key: marker` of each key whose name or value holds one."""
        found: list[str] = []
        async for key in client.scan_iter():
            found += [f"{key!r}: {text}" for text in self.of(key, await _value(client, key))]
        return found

    def in_files(self, folder: Path, but: Sequence[str] = ()) -> list[str]:
        """`file: marker` of each file below a folder, but for some folders."""
        found = []
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.relative_to(folder).parts[0] not in but:
                try:
                    found += [f"{file.relative_to(folder)}: {text}" for text in self.of(file.read_bytes())]
                except FileNotFoundError:
                    continue
        return found

    def of(self, *values: Any) -> Iterator[str]:
        """Those that stand in one of these."""
        held = b"\0".join(_flat(values))
        return (text for text, raw in zip(self.texts, self._bytes, strict=True) if raw in held)


async def _value(client: "redis.asyncio.Redis", key: bytes) -> Any:
    match await client.type(key):
        case b"string":
            return await client.get(key)
        case b"hash":
            return await client.hgetall(key)
        case b"list":
            return await client.lrange(key, 0, -1)
        case b"zset":
            return await client.zrange(key, 0, -1)
        case b"set":
            return await client.smembers(key)
        case b"stream":
            return await client.xrange(key)
        case b"none":
            return b""
        case other:
            raise AssertionError(f"{key!r} is a {other!r}")


def _flat(value: Any) -> Iterable[bytes]:
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set):
        for one in value:
            yield from _flat(one)
    else:
        yield value if isinstance(value, bytes) else str(value).encode()

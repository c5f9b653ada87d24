"""The command `postmeter shards`: sets how many streams records are spread over, while everything runs (ADR 0050)."""

import asyncio
from pathlib import Path

import asyncpg
import click

from postmeter.cli import access
from postmeter.cli.options import data_option
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import PostmeterError
from postmeter.shared.process import logs
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream import redis_clients, shard_setting
from postmeter.shared.stream.redis_clients import FAILURES
from postmeter.shared.stream.streams import SLOTS

_QUERIES = Queries("postmeter.cli", "shards.sql")


class NumberNotTaken(PostmeterError):
    """Redis does not take the number; the message says so."""


@click.group(name="shards")
def shard_commands() -> None:
    """Shards: the streams that records are counted from."""


@shard_commands.command(name="list")
@data_option()
def list_shards(data: Path | None) -> None:
    """List shards: number, whether it is counted, up to which entry."""
    rows = access.with_connection(data, _listing)
    click.echo("shard\tcounted\tposition")
    for row in rows:
        click.echo(f"{row['shard']}\t{'yes' if row['held'] else 'no'}\t{row['position']}")


@shard_commands.command(name="set")
@click.argument("number", type=click.IntRange(1, SLOTS))
@data_option()
def set_shards(number: int, data: Path | None) -> None:
    """Spread records over NUMBER shards from now on. Everything goes on: nothing is lost, nothing counts twice.

    Shards beyond NUMBER are counted to their end, and stay. POSTMETER_SHARDS holds until this is set, and after Redis
    was emptied.
    """
    # Known to aggregators before anything is in them: attribution waits for all shards that are known.
    access.with_connection(data, lambda connection: connection.execute(_QUERIES["enlist"], number))
    asyncio.run(_say(access.redis_url(data), number))
    click.echo(f"records go to {number} shards from now on, everywhere within a few seconds")


async def _listing(connection: Connection) -> list[asyncpg.Record]:
    return await connection.fetch(_QUERIES["listing"])


async def _say(url: Secret, number: int) -> None:
    redis = redis_clients.client(url, socket_timeout=5.0, socket_connect_timeout=5.0)
    try:
        await shard_setting.write(redis, number)
    except FAILURES as failure:
        raise NumberNotTaken(
            f"Redis does not take the number, so nothing has changed; try again: {logs.words(failure)}"
        ) from failure
    finally:
        await redis.aclose()

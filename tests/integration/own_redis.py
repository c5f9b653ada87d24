"""A Redis of one test's own, durable, to be stopped and killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postmeter.cli.local.servers.binaries import find_redis
from postmeter.cli.local.servers.redis_server import RedisServer


@contextmanager
def own_redis(server_folder: Path, tmp_path: Path) -> Iterator[RedisServer]:
    """Running; its socket lies in the tests' short folder."""
    sockets = server_folder / f"own-{tmp_path.name[-12:]}"
    sockets.mkdir()
    own = RedisServer(
        binary=find_redis(), data=tmp_path / "redis", sockets=sockets, log=tmp_path / "redis.log", memory="64mb"
    )
    own.start()
    try:
        yield own
    finally:
        own.stop()

"""The servers of local mode in a folder."""

from pathlib import Path

from postmeter.cli.local.folders import socket_folder
from postmeter.cli.local.servers.binaries import find_postgres, find_redis
from postmeter.cli.local.servers.postgres_server import PostgresServer
from postmeter.cli.local.servers.redis_server import RedisServer


def postgres_in(folder: Path) -> PostgresServer:
    return PostgresServer(
        binaries=find_postgres(),
        data=folder / "postgres",
        sockets=socket_folder(folder),
        log=folder / "postgres.log",
        password="p@ss word/ä",
    )


def redis_in(folder: Path, memory: str = "64mb") -> RedisServer:
    return RedisServer(
        binary=find_redis(),
        data=folder / "redis",
        sockets=socket_folder(folder),
        log=folder / "redis.log",
        memory=memory,
    )

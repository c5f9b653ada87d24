"""The two stores of one data directory: our own servers, or external ones named by environment."""

import os
from collections.abc import Mapping
from pathlib import Path

import redis

from postmeter.cli.local import database
from postmeter.cli.local.errors import LocalError
from postmeter.cli.local.folders import make_folder, socket_folder
from postmeter.cli.local.servers.binaries import find_postgres, find_redis
from postmeter.cli.local.servers.postgres_server import PostgresServer
from postmeter.cli.local.servers.redis_server import RedisServer
from postmeter.cli.local.vault import Vault
from postmeter.shared.auth.secret import Secret
from postmeter.shared.storage import rights
from postmeter.shared.stream import redis_clients

OLDEST_REDIS = 7
POSTGRES_FOLDER = "postgres"


class Stores:
    """Where Postgres and Redis are. `postgres` and `redis` are None when they are not ours to run."""

    def __init__(self, data: Path, vault: Vault, environ: Mapping[str, str] = os.environ) -> None:
        data = data.absolute()
        self._vault = vault
        self.postgres: PostgresServer | None = None
        self.redis: RedisServer | None = None
        self._postgres_dsn = environ.get("POSTMETER_POSTGRES_DSN") or ""
        self._redis_url = environ.get("POSTMETER_REDIS_URL") or ""
        logs = make_folder(data / "log", 0o700)
        if not self._postgres_dsn:
            self.postgres = PostgresServer(
                binaries=find_postgres(environ),
                data=data / POSTGRES_FOLDER,
                sockets=socket_folder(data),
                log=logs / "postgres.log",
                password=vault.postgres_password.reveal(),
            )
        if not self._redis_url:
            self.redis = RedisServer(
                binary=find_redis(environ),
                data=data / "redis",
                sockets=socket_folder(data),
                log=logs / "redis.log",
            )

    @property
    def postgres_dsn(self) -> str:
        """Our database's DSN as its owner, with the password; one named by environment as it is."""
        return self._as(database.OWNER)

    def postgres_dsn_of(self, service: str) -> str:
        """The same as the service's own role, which may do what that service does and nothing else."""
        return self._as(rights.role(service))

    def _as(self, role: str) -> str:
        if self.postgres is None:
            return self._postgres_dsn
        return self.postgres.dsn(database.NAME, role, self._vault.password_of(role).reveal())

    @property
    def redis_url(self) -> str:
        """Our Redis' URL."""
        return self.redis.url if self.redis else self._redis_url

    def check_redis(self) -> None:
        """Raise LocalError unless Redis answers and is OLDEST_REDIS or newer."""
        try:
            client = redis_clients.blocking(Secret(self.redis_url), socket_timeout=5.0)
        except ValueError as error:
            raise LocalError(f"POSTMETER_REDIS_URL: {error}") from None
        with client:
            try:
                version = str(client.info("server")["redis_version"])
            except redis.RedisError as error:
                raise LocalError(f"Redis does not answer: {error}") from error
        # Valkey says the Redis version that it is compatible with; Valkey 8 says 7.2.
        if int(version.partition(".")[0]) < OLDEST_REDIS:
            raise LocalError(f"Redis 7 or Valkey 8 or newer is needed, this is {version}")

"""The commands `postmeter psql` and `postmeter redis-cli`: clients of the stores that `postmeter up` runs."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn
from urllib.parse import unquote, urlsplit

import click

from postmeter.cli import access
from postmeter.cli.errors import CommandError
from postmeter.cli.local.errors import MissingBinaryError
from postmeter.cli.local.servers.binaries import find_postgres
from postmeter.cli.options import data_option

REDIS_CLIENTS = ("redis-cli", "valkey-cli")
_PASSED_ON = {"ignore_unknown_options": True}


@click.command(name="psql", context_settings=_PASSED_ON)
@data_option()
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql_command(data: Path | None, arguments: tuple[str, ...]) -> None:
    """Open psql on the database, as the owner of its tables. Arguments go to psql, such as -c 'SELECT now()'.

    What is changed by hand counts for nobody: change nothing that `postmeter` has a command for.
    """
    with access.database_dsn(data) as dsn:
        address, secrets = without_secrets(dsn.reveal())
        environ = {"PGPASSWORD": secrets.pop("password")} if "password" in secrets else {}
        with TemporaryFile("w+") as service:
            if secrets:
                service.write("\n".join(["[postmeter]", *map("=".join, secrets.items()), ""]))
                service.flush()
                environ |= {"PGSERVICEFILE": f"/dev/fd/{service.fileno()}", "PGSERVICE": "postmeter"}
            _run([_psql(), "-d", address, *arguments], environ, service.fileno())


@click.command(name="redis-cli", context_settings=_PASSED_ON)
@data_option()
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def redis_cli_command(data: Path | None, arguments: tuple[str, ...]) -> None:
    """Open redis-cli on the Redis of a running `postmeter up`. Arguments go to it, such as INFO memory."""
    url = urlsplit(access.redis_url(data).reveal())
    if url.scheme != "unix":
        raise CommandError("this Redis is not one that `postmeter up` runs: give redis-cli its address yourself")
    found = next(filter(None, map(shutil.which, REDIS_CLIENTS)), None)
    if found is None:
        raise CommandError(f"none of {' and '.join(REDIS_CLIENTS)} is on PATH; the socket is {unquote(url.path)}")
    _run([found, "-s", unquote(url.path), *arguments], {})


SECRETS = ("password", "sslpassword", "oauth_client_secret")
"""Options of a DSN. Of the last two libpq takes none from the environment, but from a service file, which no name leads
to here.
"""


def without_secrets(dsn: str) -> tuple[str, dict[str, str]]:
    """A DSN and its secrets by their options' names, wherever they stand in it: a command line is seen by everybody on
    this machine, the environment by nobody else.
    """
    parts = urlsplit(dsn)
    auth, at, hosts = parts.netloc.rpartition("@")
    user, colon, password = auth.partition(":")
    secrets = {"password": unquote(password)} if colon else {}
    shown = []
    for option in parts.query.split("&"):
        name, _, value = option.partition("=")
        if unquote(name) in SECRETS:
            secrets[unquote(name)] = unquote(value)
        else:
            shown.append(option)
    query = "&".join(shown)
    # Not by geturl, which drops the slashes where no host is named.
    return f"{parts.scheme}://{user}{at}{hosts}{parts.path}{query and '?'}{query}", secrets


def _psql() -> str:
    """The one beside the server, which is of its version, else the one on PATH. Raises LocalError."""
    beside = None
    with suppress(MissingBinaryError):
        beside = shutil.which("psql", path=str(find_postgres()))
    if (found := beside or shutil.which("psql")) is None:
        raise MissingBinaryError("psql is neither beside a Postgres server here nor on PATH")
    return found


def _run(command: list[str], environ: Mapping[str, str], *files: int) -> NoReturn:
    """Run it to its end, with these open files, and end with its status. Ctrl-C is the client's: a handler that does
    nothing, for what is ignored here would be ignored by the client, too.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        status = subprocess.run(command, env={**os.environ, **environ}, pass_fds=files, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    sys.exit(status if status >= 0 else 128 - status)

"""The commands `postmeter psql` and `postmeter redis-cli`: clients of the stores that `postmeter up` runs."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
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
        address, password = without_password(dsn.reveal())
        _run([_psql(), "-d", address, *arguments], {} if password is None else {"PGPASSWORD": password})


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


def without_password(dsn: str) -> tuple[str, str | None]:
    """A DSN and its password, wherever that stands in it: a command line is seen by everybody on this machine, the
    environment by nobody else.
    """
    parts = urlsplit(dsn)
    auth, at, hosts = parts.netloc.rpartition("@")
    user, colon, password = auth.partition(":")
    options = parts.query.split("&")
    named = [one for one in options if one.startswith("password=")]
    query = "&".join(one for one in options if one not in named)
    # Not by geturl, which drops the slashes where no host is named.
    address = f"{parts.scheme}://{user}{at}{hosts}{parts.path}{query and '?'}{query}"
    if named:
        return address, unquote(named[-1].partition("=")[2])
    return address, unquote(password) if colon else None


def _psql() -> str:
    """The one beside the server, which is of its version, else the one on PATH. Raises LocalError."""
    beside = None
    with suppress(MissingBinaryError):
        beside = shutil.which("psql", path=str(find_postgres()))
    if (found := beside or shutil.which("psql")) is None:
        raise MissingBinaryError("psql is neither beside a Postgres server here nor on PATH")
    return found


def _run(command: list[str], environ: Mapping[str, str]) -> NoReturn:
    """Run it to its end, and end with its status. Ctrl-C is the client's: a handler that does nothing, for what is
    ignored here would be ignored by the client, too.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        status = subprocess.run(command, env={**os.environ, **environ}, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    sys.exit(status if status >= 0 else 128 - status)

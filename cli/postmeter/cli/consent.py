"""The command `postmeter consent`: imports from a file what recipients have chosen elsewhere."""

import csv
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

import click
import redis

from postmeter.cli import access
from postmeter.cli.errors import CommandError
from postmeter.cli.options import data_option
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import FieldRefused
from postmeter.shared.privacy import recipients
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream import redis_clients
from postmeter.shared.stream.records import BATCH, RECORDS, Consent
from postmeter.shared.text.quoting import quoted

_QUERIES = Queries("postmeter.cli", "consent.sql")
_BATCH_ROWS = 1000
_MOST_SHOWN = 100
"""Bad rows that are shown; the others are only counted."""


@click.group(name="consent")
def consent_commands() -> None:
    """Recipients' choices: docs/api/privacy.md."""


@consent_commands.command(name="import")
@click.option("--workspace", required=True, help="Id of the workspace whose recipients they are.")
@click.argument("file", type=click.File(encoding="utf-8-sig", errors="surrogateescape"))
@data_option()
def import_consents(workspace: str, file: TextIO, data: Path | None) -> None:
    """Import choices from FILE. CSV with a line of column names (-: standard input): to or to_hash, opens, clicks,
    method, text_version, at, source, as of `PUT /v1/recipients/consent`.

    Good rows are imported, bad ones are shown with their lines, and the status is 1 if there are any. The same file
    again, within a week, imports nothing twice.
    """
    number, shards = access.with_connection(data, lambda connection: _place(connection, workspace))
    streams = _Streams(access.redis_url(data), shards)
    taken = bad = 0
    for found in _batches(_rows(file, number)):
        good = [one for _, one in found if isinstance(one, Consent)]
        streams.append(good, "\n".join(said for said, one in found if isinstance(one, Consent)))
        for text in (one for _, one in found if isinstance(one, str)):
            bad += 1
            if bad <= _MOST_SHOWN:
                click.echo(text, err=True)
        taken += len(good)
    click.echo(f"choices taken: {taken}")
    if bad:
        raise click.ClickException(f"rows not taken: {bad}; the first {_MOST_SHOWN} are shown above")


async def _place(connection: Connection, workspace: str) -> tuple[int, int]:
    """The workspace's number, and how many shards are counted."""
    said = os.environ.get(recipients.NAME)
    key = Secret(said) if said else None
    if (other := await recipients.another_key(cast("Pool", connection), key, keeps=False)) is not None:
        raise CommandError(other)
    recipients.use(key)
    row = await connection.fetchrow(_QUERIES["place"], workspace)
    if row is None:
        raise CommandError(f"there is no workspace {quoted(workspace)}; `postmeter workspace list` shows all")
    return row["number"], max(1, row["shards"])


def _rows(file: TextIO, workspace: int) -> Iterator[tuple[str, Consent | str]]:
    """Each row's record, and all that it says by name; or what is wrong with it."""
    # Imported here so that other commands do not load what only this one needs.
    from postmeter.shared.apis.privacy.consent import ConsentBody
    from postmeter.shared.privacy.audit import COMMAND
    from postmeter.tracking.writes.consents import consent_of

    rows = csv.reader(file, strict=True)
    columns = [name.strip() for name in next(rows, [])]
    known = ConsentBody.__struct_fields__
    if not columns or len(set(columns)) < len(columns) or not set(columns) <= set(known):
        raise CommandError(f"the first line names the columns, each once, among {', '.join(known)}")
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield "", f"line {rows.line_num}: {error}; what follows was not read"
            return
        if row is None:
            return
        text = ",".join(row)
        if not text.strip(","):
            continue
        try:
            if len(row) != len(columns):
                raise FieldRefused(f"has {len(row)} values instead of {len(columns)}")
            given = ConsentBody(**{name: value.strip() or None for name, value in zip(columns, row, strict=True)})
            yield repr(given), consent_of(workspace, COMMAND, given)
        except FieldRefused as error:
            yield "", f"line {rows.line_num}: {error.message}: {quoted(text)}"


def _batches(rows: Iterator[tuple[str, Consent | str]]) -> Iterator[list[tuple[str, Consent | str]]]:
    batch: list[tuple[str, Consent | str]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


class _Streams:
    """Appends to the streams as tracking-service does; a batch that says the same as one before counts once."""

    def __init__(self, url: Secret, shards: int) -> None:
        self._redis = redis_clients.blocking(url, socket_timeout=10.0, socket_connect_timeout=5.0)
        self._shards = shards

    def append(self, consents: list[Consent], said: str) -> None:
        from postmeter.shared.stream.records import join
        from postmeter.shared.stream.streams import shard_of, stream
        from postmeter.tracking.writes.consents import keyed

        spread: dict[int, list[bytes]] = {}
        for one in consents:
            slot, packed = keyed(one)
            spread.setdefault(shard_of(slot, self._shards), []).append(packed)
        told = f"{consents[0].workspace if consents else 0}\0{said}"
        name = hashlib.blake2b(told.encode(errors="surrogateescape"), digest_size=16).hexdigest()
        try:
            for shard, packed_records in spread.items():
                fields = {BATCH: f"consent-{name}-{shard}".encode(), RECORDS: join(packed_records)}
                self._redis.xadd(stream(shard), fields)  # type: ignore[arg-type]
        except (redis.RedisError, OSError) as error:
            message = f"Redis does not answer ({quoted(str(error))}); run it again: nothing is brought in twice"
            raise CommandError(message) from None

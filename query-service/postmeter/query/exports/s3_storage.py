"""Finished exports in an S3-compatible bucket. Needs the extra `s3`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from postmeter.query.exports.failures import StorageRefused
from postmeter.query.exports.storage import SECONDS, Download
from postmeter.query.settings import QuerySettings

if TYPE_CHECKING:
    from obstore.store import S3Config

CHUNK = 8 << 20
CHUNKS = 4
"""An upload holds CHUNK x CHUNKS bytes in memory."""


class Bucket:
    """Files in a bucket, uploaded in parts: a key is there when all of them are, and never half."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    @classmethod
    def open(cls, settings: QuerySettings) -> Bucket:
        """The configured bucket. Without keys in the settings the environment's own credentials are used."""
        parts = urlsplit(settings.export_bucket)
        config: S3Config = {}
        if settings.export_endpoint:
            config["endpoint"] = settings.export_endpoint
        if settings.export_region:
            config["region"] = settings.export_region
        if settings.export_key_secret is not None:
            config["access_key_id"] = settings.export_key_id
            config["secret_access_key"] = settings.export_key_secret.reveal()
        store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            client_options={"allow_http": settings.export_endpoint.startswith("http://")},
            config=config,
        )
        return cls(store)

    async def publish(self, file: Path, key: str, download: Download) -> None:
        """Upload the file. Raises StorageRefused."""
        attributes = {"Content-Disposition": download.disposition, "Content-Type": download.media}
        try:
            await obstore.put_async(
                self._store, key, file, attributes=attributes, chunk_size=CHUNK, max_concurrency=CHUNKS
            )
        except (OSError, BaseError) as error:
            raise StorageRefused(f"the bucket did not take {key}") from error

    async def remove(self, keys: Iterable[str]) -> None:
        """Remove what there is of these."""
        for key in keys:
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                continue

    async def place(self, key: str) -> str:
        """A presigned URL of the bucket."""
        return await obstore.sign_async(self._store, "GET", key, timedelta(seconds=SECONDS))

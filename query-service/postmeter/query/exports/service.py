"""The exports of one query-service: put together from its settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from postmeter.query.engine.engine import Engine
from postmeter.query.exports.jobs import Jobs
from postmeter.query.exports.limits import Limits
from postmeter.query.exports.links import Links
from postmeter.query.exports.production import Production
from postmeter.query.exports.requests import Exports
from postmeter.query.exports.storage import Folder, Storage
from postmeter.query.exports.worker import Worker
from postmeter.query.metrics import ExportMetrics
from postmeter.query.requests.handler import Clock
from postmeter.query.settings import QuerySettings
from postmeter.shared.errors import SettingsError
from postmeter.shared.storage import postgres
from postmeter.shared.storage.postgres import ConnectionClass, Pool

CONNECTIONS = 6
"""Of the exports' own pool: two for each export at work, two for requests and leases."""
STATEMENT_SECONDS = 120.0
"""What one statement of an export may take; it reads one span of its window."""


@dataclass(frozen=True)
class ExportService:
    """Orders are taken by `requests` and worked on by `worker`, here or in another replica."""

    requests: Exports
    worker: Worker


async def connect(settings: QuerySettings, connection_class: ConnectionClass | None = None) -> Pool:
    """The exports' pool: the one of query-service that may write, and only exports' table is written."""
    # Plans are made for the values of each statement: of a window's partitions only those that it needs are read.
    options = {"plan_cache_mode": "force_custom_plan"}
    return await postgres.connect(
        replace(settings, postgres_pool=CONNECTIONS),
        "exports",
        STATEMENT_SECONDS,
        options=options,
        connection_class=connection_class,
    )


def build(settings: QuerySettings, pool: Pool, clock: Clock, metrics: ExportMetrics) -> ExportService:
    """The service. Raises SettingsError where its folder cannot be made, or the bucket not be used."""
    folder = Path(settings.export_dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"POSTMETER_EXPORT_DIR cannot be made: {error}") from None
    engine, links = Engine(pool), Links(settings.internal_secret, settings.gateway_base)
    storage = _storage(settings, folder)
    jobs = Jobs(pool, settings.export_lease, settings.export_lifetime)
    limits = Limits(
        settings.export_file_bytes, settings.export_workspace_bytes, settings.export_free_bytes, settings.export_seconds
    )
    worker = Worker(jobs, Production(pool, engine), storage, folder, limits, metrics)
    return ExportService(Exports(jobs, pool, storage, links, worker.ordered, clock), worker)


def _storage(settings: QuerySettings, folder: Path) -> Storage:
    if not settings.export_bucket:
        return Folder(folder)
    try:
        from postmeter.query.exports.s3_storage import Bucket
    except ImportError:
        raise SettingsError(
            "POSTMETER_EXPORT_BUCKET needs `pip install 'postmeter[s3]'`, in a clone `./postmeter extras`"
        ) from None
    return Bucket.open(settings)

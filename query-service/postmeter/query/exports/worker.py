"""Works on exports: takes open jobs, keeps their leases, completes them, removes what is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postmeter.query.exports import failures, workroom
from postmeter.query.exports.failures import ExportFailed, JobLost
from postmeter.query.exports.files.formats import FORMATS
from postmeter.query.exports.jobs import Job, Jobs, Leftover
from postmeter.query.exports.limits import Limits
from postmeter.query.exports.production import Production, Progress
from postmeter.query.exports.storage import Download, Storage
from postmeter.query.metrics import ExportMetrics
from postmeter.shared.process import logs
from postmeter.shared.storage.postgres import AWAY

AT_ONCE = 2
"""Exports that one query-service works on at the same time."""
POLL_SECONDS = 1.0
AWAY_SECONDS = 5.0
RENEWALS = 4
"""How many times a lease is renewed in its life."""


@dataclass(frozen=True)
class Worker:
    """One query-service's part in the exports. folder: local; attempts work in it."""

    jobs: Jobs
    production: Production
    storage: Storage
    folder: Path
    limits: Limits
    metrics: ExportMetrics
    ordered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when an export was ordered here, so that work begins at once."""
    retry_seconds: float = 5.0
    """How long a job waits after a failed attempt; after the second one twice as long."""
    sweep_seconds: float = 10.0
    """Between two rounds of `sweep`."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; what is in hand is given back then, for others to begin at once."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(self._work(stop))
            tasks.create_task(self._sweep(stop))

    async def _work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.ordered.clear()
            pause = POLL_SECONDS
            try:
                job = await self.jobs.take()
                if job is not None:
                    await self._hold(job, stop)
                    continue
            except AWAY as error:
                logs.get().warning("exports cannot be worked on", error=logs.words(error))
                pause = AWAY_SECONDS
            except Exception as error:
                logs.get().error("work on an export broke off", exc_info=error)
            await _first(pause, stop.wait(), self.ordered.wait())

    async def _hold(self, job: Job, stop: asyncio.Event) -> None:
        """One attempt, under its lease and until `stop`."""
        log = logs.get().bind(export=job.id, attempt=job.attempt)
        progress = Progress()
        attempt = asyncio.create_task(self._attempt(job, progress))
        keeping = asyncio.create_task(self._keep(job, progress))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({attempt, keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not attempt.done():
                attempt.cancel()
                await asyncio.wait([attempt])
        finally:
            for task in (attempt, keeping, stopping):
                task.cancel()
            await asyncio.gather(attempt, keeping, stopping, return_exceptions=True)
        if attempt.cancelled() and stop.is_set():
            await self.jobs.give_back(job)
            self._count("given_back")
            log.info("export given back")
        elif attempt.cancelled():
            self._count("lost")
            log.warning("export lost to another worker")
        else:
            await self._settle(job, attempt.exception())

    async def _attempt(self, job: Job, progress: Progress) -> None:
        """One attempt within its time. Raises ExportFailed when that is over: another one would be as long."""
        try:
            async with asyncio.timeout(self.limits.seconds) as given:
                await self._make(job, progress)
        except TimeoutError:
            if given.expired():
                raise ExportFailed(self.limits.too_long()) from None
            raise

    async def _make(self, job: Job, progress: Progress) -> None:
        began = time.monotonic()
        form = FORMATS[job.order.format]
        allowance = self.limits.allowance(await self.jobs.kept(job.workspace))
        with workroom.workroom(self.folder) as room:
            file = room / f"export.{form.extension}"
            await self.production.make(job.workspace, job.order, file, progress, allowance)
            size = file.stat().st_size
            key = _key(job.id, job.attempt, job.order.format)
            await self.storage.publish(file, key, Download(f"{job.id}.{form.extension}", form.media))
        if not await self.jobs.complete(job, key, size):
            await self.storage.remove([key])
            raise JobLost
        self._count("completed")
        self.metrics.seconds.observe(time.monotonic() - began)
        self.metrics.bytes.inc(size)
        logs.get().info("export completed", export=job.id, attempt=job.attempt, rows=progress.rows, bytes=size)
        await self._remove(_keys(job.id, job.attempt - 1, job.order.format))

    async def _keep(self, job: Job, progress: Progress) -> None:
        """Renew the lease until it is lost; a database that is away for a moment costs nothing."""
        while True:
            await asyncio.sleep(self.jobs.lease / RENEWALS)
            try:
                if not await self.jobs.renew(job, int(100 * progress.done)):
                    return
            except AWAY as error:
                logs.get().warning("an export's lease cannot be renewed", export=job.id, error=logs.words(error))

    async def _settle(self, job: Job, error: BaseException | None) -> None:
        """Store how an attempt that came to its end has ended."""
        log = logs.get().bind(export=job.id, attempt=job.attempt)
        match error:
            case None:
                return
            case JobLost():
                self._count("lost")
                log.warning("export lost to another worker")
                return
            case ExportFailed():
                final, reason, ended = True, str(error), "refused"
                log.info("export failed", reason=reason)
            case _:
                final, reason, ended = job.last, failures.reason(error), "failed"
                log.error("an attempt at an export failed", reason=reason, exc_info=error)
        if not final:
            await self.jobs.put_off(job, reason, self.retry_seconds * job.tries)
            self._count("retried")
        elif await self.jobs.fail(job, reason):
            self._count(ended)
            await self._remove(_keys(job.id, job.attempt, job.order.format))

    async def _sweep(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.sweep()
            except Exception as error:
                logs.get().warning("exports cannot be swept", error=logs.words(error))
            await _first(self.sweep_seconds, stop.wait())

    async def sweep(self) -> None:
        """One round: jobs that killed every worker, files whose time is over, rows and folders nobody needs."""
        for export_id in await self.jobs.give_up():
            self._count("failed")
            logs.get().error("export given up: every worker on it died", export=export_id)
        for leftover in await self.jobs.expire():
            await self._expire(leftover)
        await self.jobs.forget()
        await asyncio.to_thread(workroom.sweep, self.folder)
        self.metrics.open.set(await self.jobs.open())

    async def _expire(self, leftover: Leftover) -> None:
        await self.storage.remove(_keys(leftover.id, leftover.attempt, leftover.format))
        await self.jobs.removed(leftover)
        logs.get().info("export's files removed", export=leftover.id)

    async def _remove(self, keys: list[str]) -> None:
        """Remove files of other attempts now; what cannot be removed now goes when the export expires."""
        try:
            await self.storage.remove(keys)
        except Exception as error:
            logs.get().warning("an export's leftovers cannot be removed yet", keys=keys, error=logs.words(error))

    def _count(self, result: str) -> None:
        self.metrics.exports.labels(result).inc()


def _key(export_id: str, attempt: int, format_name: str) -> str:
    return f"{export_id}.{attempt}.{FORMATS[format_name].extension}"


def _keys(export_id: str, attempts: int, format_name: str) -> list[str]:
    """The files that attempts up to this one may have left."""
    return [_key(export_id, attempt, format_name) for attempt in range(1, attempts + 1)]


async def _first(seconds: float, *waits: Coroutine[Any, Any, Any]) -> None:
    """Return when the first of these is done, or the time is over."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

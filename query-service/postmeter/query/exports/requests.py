"""Workspaces' export endpoints: order, status, download."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import asyncpg
import msgspec
from aiohttp import web

from postmeter.query.documents.workspaces import lookups
from postmeter.query.engine.engine import Engine
from postmeter.query.exports import order
from postmeter.query.exports.failures import ExportTooLarge, TooManyExports
from postmeter.query.exports.files import formats
from postmeter.query.exports.jobs import Jobs
from postmeter.query.exports.links import Links
from postmeter.query.exports.order import Order
from postmeter.query.exports.rows import sizes
from postmeter.query.exports.storage import Download, Storage
from postmeter.query.requests.handler import Asked, Clock
from postmeter.shared.apis.documents import exports as api
from postmeter.shared.errors import RequestError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answers import json
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.text.stamps import stamp

_decoder = msgspec.json.Decoder(api.ExportBody)
_GUESS_SECONDS = 2.0
_UNKNOWN_SECONDS = 300.0


class Exports:
    """Answers the three endpoints. ordered: set when there is something new to work on."""

    def __init__(
        self, jobs: Jobs, pool: Pool, storage: Storage, links: Links, ordered: asyncio.Event, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._pool = pool
        self._engine = Engine(pool)
        self._storage = storage
        self._links = links
        self._ordered = ordered
        self._clock = clock

    async def order(self, asked: Asked) -> web.Response:
        """Take an order. What turns out to be wrong later, such as an unknown campaign, is in the status."""
        workspace = lookups.workspace(asked)
        body = json_bodies.decode(_decoder, await asked.read())
        wanted = order.read(body, workspace, asked.scope, self._clock())
        seconds = await self._estimate(asked, wanted)
        try:
            export_id, created_at, before = await self._jobs.order(asked.scope.workspace, wanted, seconds)
        except TooManyExports as error:
            raise RequestError(429, "TOO_MANY_EXPORTS", str(error), None, {"Retry-After": "10"}) from None
        self._ordered.set()
        ready = created_at + timedelta(seconds=before + seconds)
        return json(api.ExportAnswer(True, api.Export(export_id, "processing", stamp(ready), None)))

    async def _estimate(self, asked: Asked, wanted: Order) -> float:
        """About how long the export will take. Raises RequestError 400 EXPORT_TOO_LARGE.

        An order never waits long for a guess; whoever makes the export measures it again.
        """
        try:
            async with asyncio.timeout(_GUESS_SECONDS):
                size = await sizes.measure(self._engine, self._pool, asked.scope, wanted)
        except TimeoutError:
            return _UNKNOWN_SECONDS
        try:
            sizes.check(wanted, size)
        except ExportTooLarge as error:
            raise RequestError(400, "EXPORT_TOO_LARGE", str(error)) from None
        return size.seconds

    async def status(self, asked: Asked) -> web.Response:
        """How far an export is. Raises RequestError 404 EXPORT_NOT_FOUND, 422 EXPORT_FAILED with the reason."""
        workspace, export_id = lookups.workspace(asked), asked.request.match_info["exportId"]
        row = None if "\0" in export_id else await self._jobs.find(asked.scope, export_id)
        if row is None:
            message = f"Export with ID {export_id} not found in workspace {workspace}"
            raise RequestError(404, "EXPORT_NOT_FOUND", message, "exportId")
        if row["status"] == "failed":
            raise RequestError(422, "EXPORT_FAILED", f"Failed to generate export: {row['error']}")
        return json(api.ExportStatusAnswer(True, self._status(asked, workspace, row)))

    async def latest(self, asked: Asked) -> web.Response:
        """The latest ones, and what can be ordered. The reason of a failure is beside it: one list, one good answer."""
        found = []
        for row in await self._jobs.latest(asked.scope):
            status = msgspec.structs.asdict(self._status(asked, asked.principal.workspace_id, row))
            error = row["error"] if row["status"] == "failed" else None
            found.append(api.OrderedExport(**status, export_type=row["type"], error=error))
        return json(api.LatestAnswer(found, formats.available()))

    def _status(self, asked: Asked, workspace: str, row: asyncpg.Record) -> api.ExportStatus:
        status, link = row["status"], None
        if status == "completed" and row["expired"]:
            status = "expired"
        if status == "completed":
            link = self._links.link(workspace, row["id"], asked.principal.key_id, row["expires_at"])
        return api.ExportStatus(
            export_id=row["id"],
            status=status,
            format=row["format"],
            file_size_bytes=row["file_size_bytes"],
            created_at=stamp(row["created_at"]),
            completed_at=_stamp(row["completed_at"]),
            download_url=link,
            expires_at=_stamp(row["expires_at"]),
            progress=row["progress"],
        )

    async def download(self, asked: Asked) -> web.StreamResponse:
        """The file, to whoever has its link, or the way to it. Raises RequestError 403, or 410 when it has expired.

        A signature that is not ours is answered before anything is looked up: it says nothing about the export.
        """
        path, query = asked.request.match_info, asked.request.query
        workspace, export_id, by = path["workspaceId"], path["exportId"], query.get("by", "")
        if not self._links.genuine(workspace, export_id, by, query.get("expires", ""), query.get("signature", "")):
            raise RequestError(403, "INVALID_LINK", "This is not a download link as an export's status gives it.")
        row = await self._jobs.file(workspace, export_id, by)
        place = None if row is None else await self._storage.place(row["file"])
        headers = {"Cache-Control": "private, no-store"}
        if isinstance(place, str):
            return web.Response(status=302, headers=headers | {"Location": place})
        if row is None or place is None or not await asyncio.to_thread(place.is_file):
            message = "This download link is over: it has expired, or who asked for it may not see the export any more."
            raise RequestError(410, "LINK_EXPIRED", message)
        form = formats.FORMATS[row["format"]]
        download = Download(f"{export_id}.{form.extension}", form.media)
        headers |= {"Content-Type": download.media, "Content-Disposition": download.disposition}
        return web.FileResponse(place, headers=headers)


def _stamp(instant: datetime | None) -> str | None:
    return None if instant is None else stamp(instant)

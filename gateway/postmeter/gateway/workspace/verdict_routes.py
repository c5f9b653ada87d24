"""/v1/verdicts: a workspace's thresholds of verdicts on clicks."""

from __future__ import annotations

import msgspec
from aiohttp import web

from postmeter.gateway.routes import Handler
from postmeter.gateway.workspace import verdict_settings
from postmeter.shared.apis.workspace import verdicts as api
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import FieldRefused
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answers import json
from postmeter.shared.privacy import audit
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.thresholds import LEAST, LIMITS, ThresholdRefused, Thresholds


class VerdictRoutes:
    """The handlers of api.ENDPOINTS."""

    def __init__(self, reads: Pool, writes: Pool) -> None:
        self._reads = reads
        self._writes = writes

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        return {("GET", api.PATH): self._show, ("PUT", api.PATH): self._change}

    async def _show(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        assert caller is not None
        return _answer(await verdict_settings.shown(self._reads, caller.workspace_id))

    async def _change(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        assert caller is not None
        given = msgspec.to_builtins(json_bodies.decode(_changes, body))
        if not given:
            return await self._show(request, caller, body)
        try:
            async with self._writes.acquire() as connection:
                actor = audit.actor_of(caller)
                return _answer(await verdict_settings.change(connection, caller.workspace_id, given, actor))
        except ThresholdRefused as error:
            raise FieldRefused(f"{error}.", error.name) from None


def _answer(found: Thresholds) -> web.Response:
    told = api.ThresholdsAnswer(_shown(found), _shown(Thresholds()), _shown(LEAST), _shown(LIMITS))
    return json(told)


def _shown(thresholds: Thresholds) -> api.Thresholds:
    return api.Thresholds(*thresholds)


_changes = msgspec.json.Decoder(api.ThresholdChange)

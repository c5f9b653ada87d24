"""/v1/privacy: what may be kept of a workspace's recipients."""

from __future__ import annotations

import msgspec
from aiohttp import web

from postmeter.gateway.routes import Handler
from postmeter.gateway.workspace import privacy_settings
from postmeter.gateway.workspace.privacy_settings import PrivacyRefused, Settings
from postmeter.shared.apis.privacy import ceilings as api
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answers import json
from postmeter.shared.http.fields import invalid
from postmeter.shared.privacy import audit
from postmeter.shared.storage.postgres import Pool


class PrivacyRoutes:
    """The handlers of api.ENDPOINTS."""

    def __init__(self, reads: Pool, writes: Pool) -> None:
        self._reads = reads
        self._writes = writes

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        return {("GET", api.PATH): self._show, ("PUT", api.PATH): self._change}

    async def _show(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        workspace = _unconfined(caller).workspace
        return _answer(await privacy_settings.shown(self._reads, workspace))

    async def _change(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        who = _unconfined(caller)
        given = json_bodies.decode(_changes, body)
        if given == api.PrivacyChange():
            return await self._show(request, caller, body)
        async with self._writes.acquire() as connection:
            try:
                after = await privacy_settings.change(connection, who.workspace, given, audit.actor_of(who))
            except PrivacyRefused as error:
                raise invalid(error.field, f"{error}.") from None
        return _answer(after)


def _unconfined(caller: Principal | None) -> Principal:
    """Raises RequestError 403 for callers who are confined to domains."""
    assert caller is not None
    if caller.confined_to is not None:
        raise RequestError(403, "FORBIDDEN", "Privacy is the workspace's; you are confined to domains.")
    return caller


def _answer(settings: Settings) -> web.Response:
    return json(privacy_settings.answer(settings))


_changes = msgspec.json.Decoder(api.PrivacyChange)

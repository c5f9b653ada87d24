"""/v1/keys: API keys of a workspace."""

from __future__ import annotations

import msgspec
from aiohttp import web

from postmeter.gateway.keys import registry as key_registry
from postmeter.gateway.keys.registry import Key, KeyRefused, NoSuchKey
from postmeter.gateway.people import roles
from postmeter.gateway.routes import Handler
from postmeter.shared.apis.people import keys as api
from postmeter.shared.auth.principal import Principal
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answers import json
from postmeter.shared.http.fields import invalid
from postmeter.shared.privacy import audit
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.text.stamps import stamp


class KeyRoutes:
    """The handlers of api.ENDPOINTS. pepper: see api_keys.digest."""

    def __init__(self, writes: Pool, pepper: Secret) -> None:
        self._writes = writes
        self._pepper = pepper

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        return {
            ("POST", api.PATH): self._create,
            ("GET", api.PATH): self._list,
            ("DELETE", api.ONE_PATH): self._revoke,
        }

    async def _create(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        assert caller is not None
        given = json_bodies.decode(_new, body)
        if "\0" in given.name:
            raise invalid("name", "NUL cannot be stored.")
        async with self._writes.acquire() as connection, audit.change(connection):
            try:
                made, key = await key_registry.create(
                    connection, self._pepper, caller.workspace_id, given.role, given.scopes, given.domains, given.name
                )
            except KeyRefused as error:
                refused = invalid(error.field, f"{error}.")
                if error.field == "workspace":
                    raise RequestError(409, "CONFLICT", refused.message, refused.field) from None
                raise refused from None
            roles.require_may_give(caller, _rights(caller, made))
            await key_registry.note_created(connection, made, audit.actor_of(caller))
        shown = msgspec.structs.asdict(_shown(made))
        return json(api.MadeKeyAnswer(api.MadeKey(**shown, key=key)), 201)

    async def _list(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        assert caller is not None
        found = await key_registry.listed(self._writes, caller.workspace_id)
        return json(api.KeysAnswer([_shown(key) for key in found if roles.sees(caller, _rights(caller, key))]))

    async def _revoke(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        assert caller is not None
        key_id = request.raw_path.partition("?")[0].rpartition("/")[2]
        async with self._writes.acquire() as connection, audit.change(connection):
            try:
                key = await key_registry.find(connection, caller.workspace_id, key_id)
            except NoSuchKey:
                raise _no_such() from None
            if not roles.sees(caller, _rights(caller, key)):
                raise _no_such()
            roles.require_may_give(caller, _rights(caller, key))
            _, revoked_at = await key_registry.revoke(connection, key.id, audit.actor_of(caller))
        return json(api.RevokedKeyAnswer(api.RevokedKey(key.id, stamp(revoked_at))))


def _rights(caller: Principal, key: Key) -> Principal:
    """What a key of the caller's workspace may do."""
    return msgspec.structs.replace(caller, key_id=key.id, role=key.role, scopes=key.scopes, domains=key.domains)


def _shown(key: Key) -> api.Key:
    return api.Key(
        id=key.id,
        name=key.name,
        role=key.role,
        scopes=key.scopes,
        domains=key.domains,
        created_at=stamp(key.created_at),
    )


def _no_such() -> RequestError:
    return RequestError(404, "NOT_FOUND", "There is no such key.")


_new = msgspec.json.Decoder(api.NewKey)

"""/v1/users: the people of a workspace, who may sign in."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from aiohttp import web

from postmeter.gateway.people import links, roles, users
from postmeter.gateway.people.browser.origins import Origins
from postmeter.gateway.people.users import NoSuchUser, User, UserExists, UserRefused
from postmeter.gateway.routes import Handler
from postmeter.shared.apis.people import users as api
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import FieldRefused, RequestError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answers import json
from postmeter.shared.http.fields import invalid
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import Action
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.text.stamps import stamp


class UserRoutes:
    """The handlers of api.ENDPOINTS."""

    def __init__(self, writes: Pool, origins: Origins) -> None:
        self._writes = writes
        self._origins = origins

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        return {
            ("POST", api.PATH): self._create,
            ("GET", api.PATH): self._list,
            ("PATCH", api.ONE_PATH): self._change,
            ("DELETE", api.ONE_PATH): self._remove,
        }

    async def _create(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        assert caller is not None
        given = json_bodies.decode(_new, body)
        try:
            domains = users.check(given.role, given.domains)
            wanted = roles.principal("", caller.workspace, caller.workspace_id, given.role, domains)
            roles.require_may_give(caller, wanted)  # before it is told whether there is one of that email
            async with self._writes.acquire() as connection, audit.change(connection):
                place = await users.create(connection, caller.workspace_id, given.email, given.role, domains)
                user = await users.hold(connection, *place)
                await users.note(connection, user, Action.USER_CREATED, audit.actor_of(caller))
                link = await self._link(connection, request, user)
        except UserRefused as error:
            raise _refused(error) from None
        return json(api.LinkedUserAnswer(_linked(user, link)), 201)

    async def _list(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        assert caller is not None
        found = await users.listed(self._writes, caller.workspace_id)
        return json(api.UsersAnswer([_shown(one) for one in found if roles.sees(caller, one.principal)]))

    async def _change(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        assert caller is not None
        given = json_bodies.decode(_changes, body)
        async with self._writes.acquire() as connection, audit.change(connection):
            before = await _hold(connection, caller, request)
            roles.require_may_give(caller, before.principal)
            after = _changed(before, given)
            roles.require_may_give(caller, after.principal)
            if after != before:
                _require_other(caller, before)
                if len(after.domains or ()) > len(before.domains or ()):
                    await _require_room(connection, after)
                await users.change(connection, after)
            if after != before or given.reset:
                await users.note(connection, after, Action.USER_CHANGED, audit.actor_of(caller), reset=given.reset)
            link = await self._link(connection, request, after) if given.reset else None
        return json(api.LinkedUserAnswer(_linked(after, link)))

    async def _remove(self, request: web.BaseRequest, caller: Principal | None, body: bytes) -> web.Response:
        assert caller is not None
        async with self._writes.acquire() as connection, audit.change(connection):
            user = await _hold(connection, caller, request)
            roles.require_may_give(caller, user.principal)
            _require_other(caller, user)
            await users.remove(connection, user)
            await users.note(connection, user, Action.USER_REMOVED, audit.actor_of(caller))
        return json(api.RemovedUserAnswer(api.RemovedUser(str(user.id))))

    async def _link(self, connection: Connection, request: web.BaseRequest, user: User) -> str:
        if user.disabled_at is not None:
            raise RequestError(409, "CONFLICT", "A disabled user cannot use a link; enable the account first.")
        return links.url(self._origins.base(request), *await users.password_link(connection, user))


async def _hold(connection: Connection, caller: Principal, request: web.BaseRequest) -> User:
    user_id = request.raw_path.partition("?")[0].rpartition("/")[2]
    try:
        user = await users.hold(connection, caller.workspace, user_id)
    except NoSuchUser:
        raise _no_such() from None
    if not roles.sees(caller, user.principal):
        raise _no_such()
    return user


async def _require_room(connection: Connection, user: User) -> None:
    try:
        await users.require_room(connection, user)
    except UserRefused as error:
        raise _refused(error) from None


def _changed(user: User, given: api.UserChange) -> User:
    role = user.role if given.role is msgspec.UNSET else given.role
    try:
        domains = user.domains if given.domains is msgspec.UNSET else users.check(role, given.domains)
        users.check(role, None)
    except UserRefused as error:
        raise _refused(error) from None
    disabled_at = user.disabled_at
    if given.disabled is not msgspec.UNSET and given.disabled != (disabled_at is not None):
        disabled_at = datetime.now(UTC) if given.disabled else None
    return msgspec.structs.replace(user, role=role, domains=domains, disabled_at=disabled_at)


def _require_other(caller: Principal, user: User) -> None:
    """Otherwise administrators could lock themselves out by a slip, and maybe everybody."""
    if caller.key_id == user.principal.key_id:
        raise RequestError(409, "CONFLICT", "This is your own account; ask another administrator.")


def _shown(user: User) -> api.User:
    return api.User(
        id=str(user.id),
        email=user.email,
        role=user.role,
        domains=user.domains,
        disabled=user.disabled_at is not None,
        has_password=user.has_password,
        created_at=stamp(user.created_at),
        signed_in_at=None if user.signed_in_at is None else stamp(user.signed_in_at),
    )


def _linked(user: User, link: str | None) -> api.LinkedUser:
    return api.LinkedUser(**msgspec.structs.asdict(_shown(user)), link=link)


def _refused(error: UserRefused) -> RequestError | FieldRefused:
    if isinstance(error, UserExists):
        return RequestError(409, "CONFLICT", f"{error}.", error.field)
    return invalid(error.field, f"{error}.")


def _no_such() -> RequestError:
    return RequestError(404, "NOT_FOUND", "There is no such user.")


_new = msgspec.json.Decoder(api.NewUser)
_changes = msgspec.json.Decoder(api.UserChange)

"""`/v1/sources`: what the command `postmeter source` does, for the key's own workspace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web
from redis.asyncio import Redis

from postmeter.shared.apis.mail import sources as api
from postmeter.shared.auth.principal import Principal
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError, SettingsError
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answerer import Asked, Handler
from postmeter.shared.http.answers import json
from postmeter.shared.http.changes import settled
from postmeter.shared.http.fields import invalid
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import Action
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.stream import source_log
from postmeter.shared.stream.redis_clients import FAILURES
from postmeter.shared.stream.source_log import Delivery, History, Unread
from postmeter.shared.text.stamps import stamp
from postmeter.tracking.requests import fields
from postmeter.tracking.settings import TrackingSettings
from postmeter.tracking.webhooks.sources import registry
from postmeter.tracking.webhooks.sources.registry import NoSuchSource, SavedSource, SourceRefused, TooManySources

NAME_CHARS = 200
SECRET_CHARS = 8_192
_UNSET_HERE = "Sources cannot be managed here: POSTMETER_POSTGRES_DSN or POSTMETER_SOURCE_KEY is not set."
_new_decoder = msgspec.json.Decoder(api.NewSource)
_change_decoder = msgspec.json.Decoder(api.SourceChange)
Answering = Callable[[Principal, str, bytes], Awaitable[msgspec.Struct]]


class SourceRoutes:
    """The handlers of api.ENDPOINTS. pool: None where this service knows no Postgres."""

    def __init__(self, settings: TrackingSettings, pool: Pool | None, redis: Redis) -> None:
        self._pool = pool
        self._redis = redis
        self._key = settings.source_key
        self._base = settings.public_gateway_url.rstrip("/")

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """By method and path."""
        answers: dict[tuple[str, str], Answering] = {
            ("POST", api.PATH): self._create,
            ("GET", api.PATH): self._list,
            ("GET", api.ONE_PATH): self._show,
            ("PATCH", api.ONE_PATH): self._change,
            ("DELETE", api.ONE_PATH): self._revoke,
        }
        return {row: self._handler(answer) for row, answer in answers.items()}

    def _handler(self, answer: Answering) -> Handler:
        async def handle(asked: Asked) -> web.Response:
            caller = asked.principal
            if caller.confined_to is not None:
                raise RequestError(403, "FORBIDDEN", "Sources are the workspace's; this key is confined to domains.")
            body = await asked.text()
            told = await _named(settled(answer(caller, asked.request.match_info.get("id", ""), body)))
            return json(told, asked.endpoint.status)

        return handle

    def _stores(self) -> tuple[Pool, Secret]:
        if self._pool is None or self._key is None:
            raise RequestError(503, "UNAVAILABLE", _UNSET_HERE)
        return self._pool, self._key

    async def _create(self, principal: Principal, source_id: str, body: bytes) -> msgspec.Struct:
        pool, key = self._stores()
        given = json_bodies.decode(_new_decoder, body)
        async with pool.acquire() as connection, audit.change(connection):
            told = await registry.create(
                connection,
                key,
                principal.workspace_id,
                fields.text("provider", given.provider, NAME_CHARS),
                name=fields.text("name", given.name, NAME_CHARS),
                secret=_secret(given.secret),
                options=_options(given.options),
                engagement=given.engagement,
            )
            await registry.note(connection, told.source, Action.SOURCE_CREATED, audit.actor_of(principal))
        return api.MadeAnswer(self._made(told, History()))

    async def _list(self, principal: Principal, source_id: str, body: bytes) -> msgspec.Struct:
        pool = self._stores()[0]
        found = await registry.listed(pool, principal.workspace_id)
        last = await self._last([source.id for source in found])
        return api.SourcesAnswer([api.Source(**self._shown(source, last[source.id])) for source in found])

    async def _show(self, principal: Principal, source_id: str, body: bytes) -> msgspec.Struct:
        pool = self._stores()[0]
        source = await registry.find(pool, principal.workspace_id, source_id)
        history = await self._history(source.id)
        return api.SourceAnswer(
            api.SourceInDetail(
                **self._shown(source, history),
                deliveries=[_delivery(one) for one in history.taken],
                refused=[_failure(one) for one in history.refused],
                not_understood=[_failure(one) for one in history.unread],
            )
        )

    async def _change(self, principal: Principal, source_id: str, body: bytes) -> msgspec.Struct:
        pool, key = self._stores()
        given = json_bodies.decode(_change_decoder, body)
        async with pool.acquire() as connection, audit.change(connection):
            told = await registry.change(
                connection,
                key,
                principal.workspace_id,
                source_id,
                name=None if given.name is msgspec.UNSET else fields.text("name", given.name, NAME_CHARS),
                secret=None if given.secret is msgspec.UNSET else _secret(given.secret),
                rotate=given.rotate_secret,
                options=None if given.options is msgspec.UNSET else _options(given.options),
                engagement=None if given.engagement is msgspec.UNSET else given.engagement,
            )
            changed = [name for name in given.__struct_fields__ if getattr(given, name) not in (msgspec.UNSET, False)]
            await registry.note(connection, told.source, Action.SOURCE_CHANGED, audit.actor_of(principal), changed)
        return api.MadeAnswer(self._made(told, (await self._last([source_id]))[source_id]))

    async def _revoke(self, principal: Principal, source_id: str, body: bytes) -> msgspec.Struct:
        pool = self._stores()[0]
        async with pool.acquire() as connection:
            at = await registry.revoke(connection, principal.workspace_id, source_id, audit.actor_of(principal))
        return api.RevokedAnswer(api.Revoked(source_id, stamp(at)))

    async def _last(self, ids: list[str]) -> dict[str, History]:
        try:
            return await source_log.last(self._redis, ids)
        except FAILURES:
            # Sources can be seen and changed while Redis is away; what they brought cannot.
            return dict.fromkeys(ids, History())

    async def _history(self, source_id: str) -> History:
        try:
            return await source_log.history(self._redis, source_id)
        except FAILURES:
            return History()

    def _shown(self, source: registry.StoredSource, history: History) -> dict[str, Any]:
        error = history.last_error
        return {
            "id": source.id,
            "provider": source.provider,
            "name": source.name,
            "engagement": source.engagement,
            "options": source.options,
            "url": registry.url(self._base, source),
            "created_at": stamp(source.created_at),
            "last_delivery": _delivery(history.taken[0]) if history.taken else None,
            "last_error": None if error is None else _failure(error),
        }

    def _made(self, told: SavedSource, history: History) -> api.MadeSource:
        return api.MadeSource(
            **self._shown(told.source, history),
            secret=None if told.secret is None else told.secret.reveal(),
            paste=told.paste(self._base),
            secret_missing=told.missing,
        )


async def _named(answer: Awaitable[msgspec.Struct]) -> msgspec.Struct:
    """The answer; what may go wrong on the way as an HTTP error."""
    try:
        return await answer
    except SourceRefused as error:
        raise invalid(error.field, str(error)) from None
    except NoSuchSource:
        raise RequestError(404, "NOT_FOUND", "There is no such source.") from None
    except TooManySources as error:
        raise RequestError(409, "TOO_MANY_SOURCES", f"{error}.") from None
    except SettingsError as error:
        raise RequestError(503, "UNAVAILABLE", str(error)) from None


def _secret(given: str | None) -> Secret | None:
    return None if given is None else Secret(fields.text("secret", given, SECRET_CHARS))


def _options(given: dict[str, str]) -> dict[str, str]:
    return {
        fields.text("options", name, NAME_CHARS): fields.text(f"options.{name[:NAME_CHARS]}", value, SECRET_CHARS)
        for name, value in given.items()
    }


def _delivery(one: Delivery) -> api.Delivery:
    return api.Delivery(_stamp_of(one.at), one.events, one.unread)


def _failure(one: Delivery | Unread) -> api.Failure:
    if isinstance(one, Delivery):
        return api.Failure(_stamp_of(one.at), one.error, None)
    return api.Failure(_stamp_of(one.at), one.why, one.item)


def _stamp_of(micros: int) -> str:
    return stamp(datetime.fromtimestamp(micros // 1_000_000, UTC))

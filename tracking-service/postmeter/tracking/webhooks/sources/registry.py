"""Webhook sources: made, listed, changed and revoked, by the command `postmeter source` and by /v1/sources alike."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import asyncpg
import msgspec

from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import PostmeterError, RequestError, SettingsError
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import Action
from postmeter.shared.storage import sources
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text.quoting import quoted
from postmeter.tracking.webhooks.provider import Provider, SecretOrigin, WebhookSource
from postmeter.tracking.webhooks.providers import PROVIDERS

_QUERIES = Queries("postmeter.tracking.webhooks.sources", "registry.sql")
MOST = 200
"""Sources of a workspace that are not revoked."""
_LISTED = 100_000
_MISSING = "not given yet: "
Database: TypeAlias = "Connection | Pool"


class SourceRefused(PostmeterError):
    """A source cannot be made or changed so. field: what is to blame, by its name in the API."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class NoSuchSource(PostmeterError):
    """There is no source of that id that the caller may change."""


class TooManySources(PostmeterError):
    """The workspace has MOST."""


class StoredSource(msgspec.Struct, frozen=True, kw_only=True):
    """A source as it is stored, but for its secret."""

    id: str
    workspace: str
    provider: str
    name: str
    engagement: str
    options: dict[str, str]
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class SavedSource:
    """What somebody must be told after a change. secret: of our making, to be shown this once; else None.

    missing: nothing is taken before the provider's own secret is given.
    """

    source: StoredSource
    secret: Secret | None = None
    missing: bool = False

    def paste(self, base: str) -> str | None:
        """The URL with the secret in it, for providers whose console takes it so."""
        if self.secret is None or not PROVIDERS[self.source.provider].password_in_url:
            return None
        return url(base.replace("://", f"://postmeter:{self.secret.reveal()}@", 1), self.source)


def url(base: str, source: StoredSource) -> str:
    """What a provider is to post to. base: the gateway's."""
    return f"{base}/v1/webhooks/{source.provider}/{source.id}"


async def create(
    database: Database,
    key: Secret,
    workspace: str,
    provider: str,
    *,
    name: str = "",
    secret: Secret | None = None,
    options: dict[str, str],
    engagement: str = sources.ENGAGEMENT[0],
) -> SavedSource:
    """Make a source of a workspace (public id). Raises SourceRefused, TooManySources."""
    of = _provider(provider)
    _check_engagement(engagement)
    _check_options(of, options)
    missing = secret is None and of.secret is SecretOrigin.THEIRS
    made = _stripped(secret) if secret is not None else _placeholder() if missing else _new_secret()
    if not missing:
        _check_secret(of, made, options)
    source_id = sources.new_id()
    stored, given = sources.encrypt(made, key), msgspec.json.encode(options).decode()
    arguments = (source_id, workspace, provider, name, stored, given, engagement, MOST)
    created_at = await database.fetchval(_QUERIES["create"], *arguments)
    if created_at is None:
        if await database.fetchval(_QUERIES["workspace"], workspace):
            raise TooManySources(f"the workspace has {MOST} sources; revoke those that are not used")
        raise SourceRefused(
            "workspace", f"there is no workspace {quoted(workspace)}; `postmeter workspace list` shows all"
        )
    source = StoredSource(
        id=source_id,
        workspace=workspace,
        provider=provider,
        name=name,
        engagement=engagement,
        options=options,
        created_at=created_at,
    )
    return SavedSource(source, made if secret is None and not missing else None, missing)


async def listed(database: Database, workspace: str | None, *, revoked: bool = False) -> list[StoredSource]:
    """The sources of a workspace (public id), or of all, in the order in which they were made."""
    rows = await database.fetch(_QUERIES["all"], workspace, revoked, _LISTED if workspace is None else 10 * MOST)
    return [_source(row) for row in rows]


async def find(database: Database, workspace: str | None, source_id: str) -> StoredSource:
    """The source, of the workspace or of any. Raises NoSuchSource."""
    return _source(await _row(database, workspace, source_id))


async def change(
    database: Database,
    key: Secret,
    workspace: str | None,
    source_id: str,
    *,
    name: str | None = None,
    secret: Secret | None = None,
    rotate: bool = False,
    options: dict[str, str] | None = None,
    engagement: str | None = None,
) -> SavedSource:
    """Change what is not None. Raises NoSuchSource, SourceRefused; SettingsError for a key that is not the source's."""
    row = await _row(database, workspace, source_id)
    source, of = _source(row), PROVIDERS[row["provider"]]
    if rotate and (secret is not None or of.secret is SecretOrigin.THEIRS):
        raise SourceRefused("rotate_secret", f"the secret of {of.slug} is made there; give it as `secret`")
    if engagement is not None:
        _check_engagement(engagement)
    given = _new_secret() if rotate else None if secret is None else _stripped(secret)
    if options is not None:
        _check_options(of, options)
    wanted = source.options if options is None else options
    if given is not None:
        _check_secret(of, given, wanted)
    elif options is not None:
        _check_secret(of, sources.decrypt(row["secret"], key), wanted)
    stored = None if given is None else sources.encrypt(given, key)
    packed = None if options is None else msgspec.json.encode(options).decode()
    if await database.fetchval(_QUERIES["change"], source_id, name, stored, packed, engagement) is None:
        raise _no_such(source_id)
    changed = msgspec.structs.replace(
        source,
        name=source.name if name is None else name,
        options=wanted,
        engagement=engagement or source.engagement,
    )
    missing = given is None and of.secret is SecretOrigin.THEIRS and _is_missing(row["secret"], key)
    return SavedSource(changed, given if rotate else None, missing)


async def revoke(connection: Connection, workspace: str | None, source_id: str, actor: str) -> datetime:
    """Close a source; its URL stops working within seconds. When it was revoked. Raises NoSuchSource.

    actor: see audit.record.
    """
    async with audit.change(connection):
        row = None
        if sources.is_id(source_id):
            row = await connection.fetchrow(_QUERIES["revoke"], workspace, source_id)
        if row is None:
            raise _no_such(source_id)
        await audit.record(connection, row["workspace"], actor, Action.SOURCE_REVOKED, source_id)
    at: datetime = row["revoked_at"]
    return at


async def note(
    connection: Connection, source: StoredSource, action: Action, actor: str, changed: Iterable[str] = ()
) -> None:
    """Note in the audit log what was done to a source, in the transaction that did it.

    actor: see audit.record. changed: names of what is another one now; what they hold may be secret.
    """
    told: dict[str, object] = {"provider": source.provider, "name": source.name, "engagement": source.engagement}
    if changed:
        told["changed"] = sorted(changed)
    await audit.record(connection, source.workspace, actor, action, source.id, told)


async def opens(database: Database, key: Secret) -> str | None:
    """Whether sources' secrets are stored under this key, by the newest one of them: a look for Advice."""
    stored = await database.fetchval(_QUERIES["newest_secret"])
    try:
        if stored:
            sources.decrypt(stored, key)
    except SettingsError:
        return (
            "POSTMETER_SOURCE_KEY is not the one that secrets of webhook sources are stored under: their webhooks get"
            " 503. Put the old one back, or give each source a new secret (`postmeter source secret`)"
        )
    return None


async def _row(database: Database, workspace: str | None, source_id: str) -> asyncpg.Record:
    row = await database.fetchrow(_QUERIES["one"], workspace, source_id) if sources.is_id(source_id) else None
    if row is None:
        raise _no_such(source_id)
    return row


def _source(row: asyncpg.Record) -> StoredSource:
    return StoredSource(
        id=row["id"],
        workspace=row["workspace"],
        provider=row["provider"],
        name=row["name"],
        engagement=row["engagement"],
        options=msgspec.json.decode(row["options"], type=dict[str, str]),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


def _no_such(source_id: str) -> NoSuchSource:
    return NoSuchSource(f"there is no source {quoted(source_id)} that is not revoked")


def _provider(slug: str) -> Provider:
    if slug not in PROVIDERS:
        raise SourceRefused("provider", f"provider takes {', '.join(sorted(PROVIDERS))}")
    return PROVIDERS[slug]


def _new_secret() -> Secret:
    return Secret(secrets.token_urlsafe(32))


def _placeholder() -> Secret:
    """In place of a provider's own secret that was not given yet: nobody can sign with it."""
    return Secret(_MISSING + _new_secret().reveal())


def _is_missing(stored: str, key: Secret) -> bool:
    """Whether a placeholder is stored; not where that cannot be told, for whoever only changes a name."""
    with suppress(SettingsError):
        return sources.decrypt(stored, key).reveal().startswith(_MISSING)
    return False


def _stripped(secret: Secret) -> Secret:
    return Secret(secret.reveal().strip())


def _check_engagement(engagement: str) -> None:
    if engagement not in sources.ENGAGEMENT:
        raise SourceRefused("engagement", f"engagement takes {' or '.join(sources.ENGAGEMENT)}")


def _check_options(provider: Provider, options: dict[str, str]) -> None:
    wanted = provider.options
    if set(options) != set(wanted) or not all(options.values()):
        names = " and ".join(wanted) or "no options"
        raise SourceRefused("options", f"{provider.slug} takes {names}: docs/webhooks/{provider.slug}.md says what")


def _check_secret(provider: Provider, secret: Secret, options: dict[str, str]) -> None:
    """Refuse what the provider's deliveries could never fit, before its console is told the URL."""
    if not secret.reveal():
        raise SourceRefused("secret", "the secret is empty: anybody could sign with it")
    if provider.check is None:
        return
    try:
        provider.check(WebhookSource(id="", workspace=0, provider=provider.slug, secret=secret, options=options))
    except RequestError as error:
        where = f"docs/webhooks/{provider.slug}.md says where to find it"
        raise SourceRefused("options" if provider.options else "secret", f"{error.message} {where}") from None

"""What may be kept of a workspace's recipients: shown and set by `postmeter privacy` and by /v1/privacy alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import asyncpg
import msgspec

from postmeter.shared.apis.privacy import ceilings as api
from postmeter.shared.errors import PostmeterError
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import Action
from postmeter.shared.privacy.levels import CLICK_LEVELS, FULL, NOTHING, OPEN_LEVELS, Level, Levels
from postmeter.shared.storage.postgres import Connection, Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.text import domains
from postmeter.shared.text.quoting import quoted

_QUERIES = Queries("postmeter.gateway.workspace", "privacy_settings.sql")
_DENIED_LEVELS = {name: OPEN_LEVELS[name] for name in api.DENIED}
_MONTHS = api.Retention.__struct_fields__
_Table: TypeAlias = Mapping[str, Level]


class PrivacyRefused(PostmeterError):
    """Something cannot be set like this. field: what, by its path in the API."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Settings(msgspec.Struct, frozen=True):
    """What a workspace has set, the defaults where it has set nothing. months: of api.Retention's fields."""

    workspace: Levels = FULL
    unknown: Levels = FULL
    denied: Levels = NOTHING
    months: dict[str, int | None] = msgspec.field(default_factory=lambda: dict.fromkeys(_MONTHS))
    domains: dict[str, Levels] = {}


async def number(database: Connection | Pool, workspace: str) -> int:
    """The number of a workspace (public id). Raises PrivacyRefused."""
    found = await database.fetchval(_QUERIES["workspace_number"], workspace)
    if found is None:
        raise PrivacyRefused(
            "workspace", f"there is no workspace {quoted(workspace)}; `postmeter workspace list` shows all"
        )
    return int(found)


async def shown(database: Connection | Pool, workspace: int) -> Settings:
    """What a workspace has set."""
    row = await database.fetchrow(_QUERIES["show"], workspace)
    rows = await database.fetch(_QUERIES["domains"], workspace, api.MOST_DOMAINS)
    named = {one["domain"]: _levels(one["opens"], one["clicks"]) for one in rows}
    return _settings(row, named) if row is not None else Settings(domains=named)


async def change(connection: Connection, workspace: int, given: api.PrivacyChange, actor: str) -> Settings:
    """Set what is given; all as it is then. Raises PrivacyRefused, and nothing is set. actor: see audit.record."""
    async with audit.change(connection):
        await connection.execute(_QUERIES["begin"], workspace)
        await connection.execute(_QUERIES["hold"], workspace)
        before = await shown(connection, workspace)
        after = changed(before, given)
        if after == before:
            return after
        levels = (*after.workspace, *after.unknown, *after.denied)
        await connection.execute(_QUERIES["set"], workspace, *levels, *(after.months[name] for name in _MONTHS))
        names = sorted(after.domains)
        await connection.execute(_QUERIES["remove_domains"], workspace, names)
        opens, clicks = ([after.domains[name][kind] for name in names] for kind in (0, 1))
        await connection.execute(_QUERIES["set_domains"], workspace, names, opens, clicks)
        told = _difference(_told(before), _told(after))
        await audit.record(connection, workspace, actor, Action.PRIVACY_CHANGED, "", told)
    return after


def changed(settings: Settings, given: api.PrivacyChange) -> Settings:
    """The settings with what is given in the place of what was. Raises PrivacyRefused."""
    own = api.LevelsChange(given.opens, given.clicks)
    named = settings.domains
    if given.domains is not msgspec.UNSET:
        named = _domains(given.domains)
    unknown, denied, months = given.unknown or api.LevelsChange(), given.denied or api.DeniedChange(), given.retention
    return Settings(
        workspace=_with(settings.workspace, own, ""),
        unknown=_with(settings.unknown, unknown, "unknown."),
        denied=_with(settings.denied, denied, "denied.", _DENIED_LEVELS, _DENIED_LEVELS),
        months=settings.months if months is msgspec.UNSET else settings.months | _months(months),
        domains=named,
    )


def answer(settings: Settings) -> api.Privacy:
    """As the API tells it."""
    return api.Privacy(
        settings.workspace.opens.text,
        settings.workspace.clicks.text,
        {name: _named(levels) for name, levels in settings.domains.items()},
        _named(settings.unknown),
        _named(settings.denied),
        api.Retention(**settings.months),
    )


def _domains(given: Mapping[str, api.LevelsChange]) -> dict[str, Levels]:
    if len(given) > api.MOST_DOMAINS:
        raise PrivacyRefused("domains", f"a workspace names {api.MOST_DOMAINS} domains at most")
    found: dict[str, Levels] = {}
    for text, levels in given.items():
        try:
            # Longer ones take long to be read.
            name = domains.normal(text if len(text) <= domains.LIMIT else "")
        except ValueError:
            raise PrivacyRefused("domains", f"{quoted(text)} is not a domain name, such as shop.example") from None
        if name in found:
            raise PrivacyRefused("domains", f"{quoted(text)} is a domain that is named twice")
        found[name] = _with(FULL, levels, f"domains.{name}.")
    return dict(sorted(found.items()))


def _with(
    levels: Levels,
    given: api.LevelsChange | api.DeniedChange,
    place: str,
    of_opens: _Table = OPEN_LEVELS,
    of_clicks: _Table = CLICK_LEVELS,
) -> Levels:
    return Levels(
        levels.opens if given.opens is msgspec.UNSET else _level(place + "opens", given.opens, of_opens),
        levels.clicks if given.clicks is msgspec.UNSET else _level(place + "clicks", given.clicks, of_clicks),
    )


def _level(field: str, name: str, known: _Table) -> Level:
    if name not in known:
        raise PrivacyRefused(field, f"takes {', '.join(known)}, not {quoted(name)}")
    return known[name]


def _months(given: api.RetentionChange) -> dict[str, int | None]:
    months = {name: value for name in _MONTHS if (value := getattr(given, name)) is not msgspec.UNSET}
    for name, value in months.items():
        if value is not None and not 1 <= value <= api.MOST_MONTHS:
            raise PrivacyRefused(f"retention.{name}", f"takes 1 to {api.MOST_MONTHS}, or null")
    return months


def _settings(row: asyncpg.Record, named: dict[str, Levels]) -> Settings:
    return Settings(
        _levels(row["opens"], row["clicks"]),
        _levels(row["unknown_opens"], row["unknown_clicks"]),
        _levels(row["denied_opens"], row["denied_clicks"]),
        {name: row[name] for name in _MONTHS},
        named,
    )


def _levels(opens: int, clicks: int) -> Levels:
    return Levels(Level(opens), Level(clicks))


def _named(levels: Levels) -> api.Levels:
    return api.Levels(levels.opens.text, levels.clicks.text)


def _told(settings: Settings) -> dict[str, Any]:
    """By path, so that two of them can be compared."""
    told = msgspec.to_builtins(answer(settings))
    flat = {"opens": told["opens"], "clicks": told["clicks"]}
    for part in ("unknown", "denied", "retention", "domains"):
        flat.update({f"{part}.{name}": value for name, value in told[part].items()})
    return flat


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What changed, from what to what."""
    paths = [path for path in (before | after) if before.get(path) != after.get(path)]
    return {path: [before.get(path), after.get(path)] for path in paths}

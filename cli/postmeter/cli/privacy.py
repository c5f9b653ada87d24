"""The command `postmeter privacy`: what may be kept of a workspace's recipients."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from postmeter.cli import access
from postmeter.cli.errors import CommandError
from postmeter.cli.options import data_option
from postmeter.gateway.workspace import privacy_settings
from postmeter.gateway.workspace.privacy_settings import PrivacyRefused, Settings
from postmeter.shared.apis.privacy.ceilings import MOST_MONTHS, PrivacyChange
from postmeter.shared.privacy import audit
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.text.domains import normal
from postmeter.shared.text.quoting import quoted

_SECTIONS = ("unknown", "denied", "retention")
_EACH = ("opens", "clicks")
_NOTHING = "none"
"""In place of months: as long as the installation keeps it."""


@click.group(name="privacy")
def privacy_commands() -> None:
    """What may be kept of recipients: docs/api/privacy.md."""


@privacy_commands.command(name="show")
@click.option("--workspace", required=True, help="Id of the workspace.")
@data_option()
def show_privacy(workspace: str, data: Path | None) -> None:
    """Show a workspace's ceilings, and for how many months it keeps what."""

    async def shown(connection: Connection) -> Settings:
        return await privacy_settings.shown(connection, await privacy_settings.number(connection, workspace))

    _say(access.with_connection(data, shown))


@privacy_commands.command(name="set")
@click.option("--workspace", required=True, help="Id of the workspace.")
@click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE...")
@data_option()
def set_privacy(workspace: str, settings: tuple[str, ...], data: Path | None) -> None:
    """Set what `show` shows. For example opens=anonymous, unknown.opens=off, domains.shop.example.clicks=pseudonymous,
    retention.history_months=13. `none` for months: as long as the installation keeps it; for a domain
    (domains.shop.example=none): it no longer has a ceiling of its own. opens and clicks also act on mail that is out
    already; domains, unknown and denied act on mail and choices from then on.
    """
    given = _read(settings)

    async def change(connection: Connection) -> Settings:
        number = await privacy_settings.number(connection, workspace)
        async with audit.change(connection):
            return await _change(connection, number, given)

    try:
        _say(access.with_connection(data, change))
    except PrivacyRefused as error:
        raise CommandError(f"{error.field}: {error}") from None


async def _change(connection: Connection, workspace: int, given: dict[str, str]) -> Settings:
    body: dict[str, Any] = {}
    known = msgspec.to_builtins(privacy_settings.answer(await privacy_settings.shown(connection, workspace)))
    for path, value in given.items():
        section, _, name = path.partition(".")
        if section == "domains":
            _set_domain(body.setdefault("domains", known["domains"]), path, name, value)
        elif section in _SECTIONS and name:
            body.setdefault(section, {})[name] = _months(path, value) if section == "retention" else value
        else:
            body[path] = value
    try:
        change = msgspec.convert(body, PrivacyChange)
    except msgspec.ValidationError:
        message = f"there is no such setting: {_unknown(given, known)}; `postmeter privacy show` shows all"
        raise CommandError(message) from None
    return await privacy_settings.change(connection, workspace, change, audit.COMMAND)


def _set_domain(domains: dict[str, dict[str, str]], path: str, name: str, value: str) -> None:
    domain, _, kind = name.rpartition(".")
    if kind in _EACH and domain:
        domains.setdefault(_normal(domain), {})[kind] = value
    elif value == _NOTHING:
        domains.pop(_normal(name), None)
    else:
        raise CommandError(
            f"{quoted(path)}: name the domain and opens or clicks, such as domains.shop.example.opens=off"
        )


def _normal(domain: str) -> str:
    """The domain in its normal form, if it has one; else as it is, to be refused by name."""
    try:
        return normal(domain)
    except ValueError:
        return domain


def _months(path: str, value: str) -> int | None:
    if value == _NOTHING:
        return None
    months = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
    if not 1 <= months <= MOST_MONTHS:
        raise CommandError(f"{quoted(path)} takes 1 to {MOST_MONTHS}, or {_NOTHING}, not {quoted(value)}")
    return months


def _read(settings: Iterable[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for text in settings:
        name, _, value = text.partition("=")
        if name in given:
            raise CommandError(f"{quoted(name)} is given more than once")
        given[name] = value
    return given


def _unknown(given: dict[str, str], known: dict[str, Any]) -> str:
    names = set(_lines(known))
    return ", ".join(quoted(name) for name in given if name not in names and not name.startswith("domains."))


def _say(settings: Settings) -> None:
    for name, value in _lines(msgspec.to_builtins(privacy_settings.answer(settings))).items():
        click.echo(f"{name}={_NOTHING if value is None else value}")


def _lines(told: dict[str, Any], place: str = "") -> dict[str, Any]:
    """By path."""
    lines: dict[str, Any] = {}
    for name, value in told.items():
        lines |= _lines(value, f"{place}{name}.") if isinstance(value, dict) else {place + name: value}
    return lines

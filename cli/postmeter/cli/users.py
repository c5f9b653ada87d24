"""The command `postmeter user`: the people of a workspace."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from postmeter.cli import access
from postmeter.cli.options import data_option
from postmeter.gateway.people import links, users
from postmeter.gateway.people.users import User
from postmeter.shared.apis.people.users import ROLES
from postmeter.shared.privacy import audit
from postmeter.shared.privacy.audit import COMMAND, Action
from postmeter.shared.storage.postgres import Connection

F = TypeVar("F", bound=Callable[..., object])


def _email_of(command: F) -> F:
    workspace = click.option("--workspace", help="Id of the workspace; needed where the email is in several.")
    return click.argument("email")(workspace(data_option()(command)))


@click.group(name="user")
def user_commands() -> None:
    """Users: people who sign in to the dashboard. Nothing is mailed: give them the link that is printed."""


@user_commands.command(name="create")
@click.option("--workspace", required=True, help="Id of the workspace that the user belongs to.")
@click.option("--email", required=True, help="The address that they sign in with; nothing is mailed to it.")
@click.option("--role", required=True, type=click.Choice(ROLES), help="What they may do: docs/people.md.")
@click.option("--domain", "domains", multiple=True, help="Repeatable; confines the user to these.")
@data_option()
def create_user(workspace: str, email: str, role: str, domains: tuple[str, ...], data: Path | None) -> None:
    """Create a user and print a link to choose a password. It is good once, for seven days."""

    async def made(connection: Connection) -> User:
        place = await users.create(connection, workspace, email, role, domains or None)
        user = await users.hold(connection, *place)
        await users.note(connection, user, Action.USER_CREATED, COMMAND)
        return user

    _print_link(data, made)


@user_commands.command(name="list")
@click.option("--workspace", help="Only the users of this workspace.")
@data_option()
def list_users(workspace: str | None, data: Path | None) -> None:
    """List users: email, workspace, role, domains, state, last sign-in."""
    found = access.with_connection(data, lambda connection: users.listed(connection, workspace))
    click.echo("email\tworkspace\trole\tdomains\tstate\tsigned in")
    for user in found:
        domains = ",".join(user.domains) if user.domains else "-"
        signed_in = f"{user.signed_in_at:%Y-%m-%d}" if user.signed_in_at else "never"
        click.echo("\t".join((user.email, user.workspace_id, user.role, domains, _state(user), signed_in)))


@user_commands.command(name="disable")
@_email_of
def disable_user(email: str, workspace: str | None, data: Path | None) -> None:
    """Keep the user with this email out. They are signed out within seconds."""
    _change(data, email, workspace, datetime.now(UTC))
    click.echo(f"user {email} disabled")


@user_commands.command(name="enable")
@_email_of
def enable_user(email: str, workspace: str | None, data: Path | None) -> None:
    """Let the user with this email in again."""
    _change(data, email, workspace, None)
    click.echo(f"user {email} enabled")


@user_commands.command(name="reset")
@_email_of
def reset_user(email: str, workspace: str | None, data: Path | None) -> None:
    """Print a link to choose a new password. It is good once; taking it signs the user out elsewhere."""

    async def found(connection: Connection) -> User:
        user = await users.of_email(connection, email, workspace)
        if user.disabled_at is not None:
            raise users.UserRefused("email", f"{user.email} is disabled: `postmeter user enable` comes first")
        await users.note(connection, user, Action.USER_CHANGED, COMMAND, reset=True)
        return user

    _print_link(data, found)


def _print_link(data: Path | None, find: Callable[[Connection], Awaitable[User]]) -> None:
    async def linked(connection: Connection) -> str:
        async with audit.change(connection):
            return links.url(base, *await users.password_link(connection, await find(connection)))

    base = access.gateway_url(data)
    click.echo(access.with_connection(data, linked))


def _change(data: Path | None, email: str, workspace: str | None, disabled_at: datetime | None) -> None:
    async def changed(connection: Connection) -> None:
        async with audit.change(connection):
            user = await users.of_email(connection, email, workspace)
            changed = msgspec.structs.replace(user, disabled_at=disabled_at)
            await users.change(connection, changed)
            await users.note(connection, changed, Action.USER_CHANGED, COMMAND)

    access.with_connection(data, changed)


def _state(user: User) -> str:
    if user.disabled_at is not None:
        return f"disabled {user.disabled_at:%Y-%m-%d}"
    return "valid" if user.has_password else "invited"

"""The command `postmeter user`, on a real database; what it prints opens a real gateway."""

import asyncio

import aiohttp
import pytest

from postmeter.gateway.people.browser.cookie import SESSION
from tests.integration.commands import Commands
from tests.integration.running_gateway import gateway

CREATE = ("user", "create", "--workspace", "acme", "--email", "Ada@Shop.example", "--role")


@pytest.fixture
def command(postgres_dsn: str) -> Commands:
    commands = Commands(postgres_dsn)
    for workspace in ("acme", "other"):
        assert commands("workspace", "create", workspace, "--name", "N").exit_code == 0
    return commands


def signed_in(dsn: str, link: str, **more: str) -> int:
    """The status of signing in by a printed link."""

    async def asked() -> int:
        body = {"link": link.strip().partition("=")[2], **more}
        async with (
            gateway(dsn) as url,
            aiohttp.ClientSession() as session,
            session.post(f"{url}/session", json=body) as answer,
        ):
            assert (SESSION.plain in answer.cookies) == (answer.status == 204)
            return answer.status

    return asyncio.run(asked())


def test_a_user_is_created_and_the_link_chooses_a_password(command: Commands) -> None:
    made = command(*CREATE, "member", "--domain", "Shop.example", "--domain", "b.example")
    assert made.exit_code == 0, made.output
    assert made.output.startswith("https://YOUR-GATEWAY/login#invitation=")
    (row,) = command.rows("SELECT email, role, domains, password FROM user_account")
    assert tuple(row) == ("ada@shop.example", "member", ["b.example", "shop.example"], None)
    (kept,) = command.rows("SELECT * FROM one_time_link")
    assert made.output.strip().partition("=")[2] not in str(dict(kept))
    assert signed_in(command.dsn, made.output, password="a long new password") == 204
    assert signed_in(command.dsn, made.output, password="a long new password") == 401


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--workspace", "nobody", "--email", "a@b.example", "--role", "admin"), "there is no workspace 'nobody'"),
        (("--workspace", "acme", "--email", "a", "--role", "admin"), "'a' is not an email address"),
        (("--workspace", "acme", "--email", "a@b.example", "--role", "king"), "'king' is not one of"),
        (("--workspace", "acme", "--email", "a@b.example", "--role", "admin", "--domain", "/"), "domain names"),
        (("--email", "a@b.example", "--role", "admin"), "Missing option '--workspace'"),
    ],
)
def test_a_bad_user_is_refused(command: Commands, arguments: tuple[str, ...], message: str) -> None:
    result = command("user", "create", *arguments)
    assert result.exit_code != 0
    assert message in result.output
    assert command.rows("SELECT 1 FROM user_account") == []


def test_users_are_listed_disabled_enabled_and_reset(command: Commands) -> None:
    assert command(*CREATE, "admin").exit_code == 0
    assert "a user 'ada@shop.example' already" in command(*CREATE, "admin").output
    header = "email\tworkspace\trole\tdomains\tstate\tsigned in"
    assert command("user", "list").output.splitlines() == [header, "ada@shop.example\tacme\tadmin\t-\tinvited\tnever"]
    assert command("user", "list", "--workspace", "other").output.splitlines() == [header]
    assert "there is no workspace 'nobody'" in command("user", "list", "--workspace", "nobody").output
    assert command("user", "disable", "ADA@shop.example").exit_code == 0
    assert "\tdisabled 2" in command("user", "list").output
    assert "`postmeter user enable` comes first" in command("user", "reset", "ada@shop.example").output
    assert command("user", "enable", "ada@shop.example").exit_code == 0
    again = command("user", "reset", "ada@shop.example").output
    assert "/login#invitation=" in again, "she has no password yet"
    assert signed_in(command.dsn, again, password="a long new password") == 204
    assert "\tvalid\t2" in command("user", "list").output
    assert "/login#reset=" in command("user", "reset", "ada@shop.example").output


def test_an_email_in_two_workspaces_needs_one_named(command: Commands) -> None:
    for workspace in ("acme", "other"):
        made = command("user", "create", "--workspace", workspace, "--email", "a@b.example", "--role", "viewer")
        assert made.exit_code == 0
    assert "name one (--workspace)" in command("user", "disable", "a@b.example").output
    assert command("user", "disable", "a@b.example", "--workspace", "other").exit_code == 0
    states = [line.split("\t")[4][:8] for line in command("user", "list").output.splitlines()[1:]]
    assert states == ["invited", "disabled"]
    assert "there is no user 'x@b.example'" in command("user", "disable", "x@b.example").output

"""The commands for workspaces and keys, on a real database."""

import asyncio

import asyncpg
import pytest
from click.testing import CliRunner, Result

from postmeter.cli.main import main
from postmeter.shared import api_keys
from postmeter.shared.secret import Secret

PEPPER = "pepper-of-this-test"


class Commands:
    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def __call__(self, *arguments: str) -> Result:
        environ = {"POSTMETER_POSTGRES_DSN": self.dsn, "POSTMETER_KEY_PEPPER": PEPPER}
        return CliRunner().invoke(main, arguments, env=environ)

    def rows(self, statement: str) -> list[asyncpg.Record]:
        async def fetched() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.dsn)
            try:
                return await connection.fetch(statement)
            finally:
                await connection.close()

        return asyncio.run(fetched())


@pytest.fixture
def command(postgres_dsn: str) -> Commands:
    commands = Commands(postgres_dsn)
    made = commands("workspace", "create", "acme", "--name", "Acme", "--timezone", "Asia/Kathmandu")
    assert made.exit_code == 0, made.output
    return commands


def test_a_workspace_is_stored_as_given(command: Commands) -> None:
    (row,) = command.rows("SELECT id, name, timezone FROM workspace")
    assert tuple(row) == ("acme", "Acme", "Asia/Kathmandu")


@pytest.mark.parametrize(
    ("workspace", "timezone", "message"),
    [
        ("acme", "UTC", "there is a workspace 'acme' already"),
        ("a/b", "UTC", "no workspace id"),
        ("", "UTC", "no workspace id"),
        ("x" * 65, "UTC", "no workspace id"),
        ("other", "Mars/Olympus", "no IANA time zone"),
        ("other", "../../etc/passwd", "no IANA time zone"),
    ],
)
def test_a_bad_workspace_is_refused(command: Commands, workspace: str, timezone: str, message: str) -> None:
    result = command("workspace", "create", workspace, "--name", "N", "--timezone", timezone)
    assert result.exit_code == 1
    assert message in result.output
    assert len(command.rows("SELECT 1 FROM workspace")) == 1


def test_a_key_is_shown_once_and_stored_as_hmac_only(command: Commands) -> None:
    made = command(
        *("key", "create", "--workspace", "acme", "--role", "domain_admin"),
        *("--scope", "analytics", "--scope", "track", "--domain", "Mail.Example.com"),
    )
    key = made.output.strip()
    (row,) = command.rows("SELECT * FROM api_key")
    assert row["id"] == api_keys.id_of(key)
    assert row["hmac"] == api_keys.digest(key, Secret(PEPPER))
    assert (row["role"], row["scopes"], row["domains"]) == (
        "domain_admin",
        ["analytics", "track"],
        ["mail.example.com"],
    )
    assert key not in str(dict(row))
    assert key not in command("key", "list").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--workspace", "nobody", "--role", "admin", "--scope", "track"), "no workspace 'nobody'"),
        (("--workspace", "acme", "--role", "domain_admin", "--scope", "track"), "needs its domains"),
        (("--workspace", "acme", "--role", "admin", "--scope", "track", "--domain", "a.b"), "only a domain_admin"),
        (("--workspace", "acme", "--role", "king", "--scope", "track"), "'king' is not one of"),
        (("--workspace", "acme", "--role", "admin", "--scope", "everything"), "'everything' is not one of"),
        (("--workspace", "acme", "--role", "admin"), "Missing option '--scope'"),
    ],
)
def test_a_bad_key_is_refused(command: Commands, arguments: tuple[str, ...], message: str) -> None:
    result = command("key", "create", *arguments)
    assert result.exit_code != 0
    assert message in result.output
    assert command.rows("SELECT 1 FROM api_key") == []


def test_a_revoked_key_stays_listed_as_revoked(command: Commands) -> None:
    key = command("key", "create", "--workspace", "acme", "--role", "admin", "--scope", "track").output.strip()
    key_id = str(api_keys.id_of(key))
    assert command("key", "list", "--workspace", "acme").output.strip().endswith("\tvalid")
    assert command("key", "list", "--workspace", "other").output == ""
    assert command("key", "revoke", key_id).exit_code == 0
    (before,) = command.rows("SELECT revoked_at FROM api_key")
    assert before["revoked_at"] is not None
    assert command("key", "revoke", key_id).exit_code == 0
    assert command.rows("SELECT revoked_at FROM api_key") == [before]
    assert "\trevoked " in command("key", "list").output
    assert "no key with the id 'nothing'" in command("key", "revoke", "nothing").output


def test_migrate_says_what_it_did(empty_postgres_dsn: str) -> None:
    command = Commands(empty_postgres_dsn)
    assert "applied 0001_schema.sql" in command("migrate").output
    assert command("migrate").output == "the schema is up to date\n"


def test_a_database_that_does_not_answer_is_one_clear_line() -> None:
    result = Commands("postgresql://nobody@127.0.0.1:1/none")("key", "list")
    assert result.exit_code == 1
    assert result.output.startswith("Error: Postgres: ")
    assert len(result.output.splitlines()) == 1

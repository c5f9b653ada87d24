"""The commands for workspaces and keys, on a real database."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner

from postmeter.cli import access, options
from postmeter.cli.local import vault
from postmeter.cli.local.lock import DirectoryLock
from postmeter.cli.main import main
from postmeter.gateway.keys import registry as key_registry
from postmeter.shared.auth import api_keys
from postmeter.shared.auth.secret import Secret
from tests.integration.commands import PEPPER, Commands


@pytest.fixture
def command(postgres_dsn: str) -> Commands:
    commands = Commands(postgres_dsn)
    made = commands("workspace", "create", "acme", "--name", "Acme", "--timezone", "Asia/Kathmandu")
    assert made.exit_code == 0, made.output
    return commands


def test_a_workspace_is_stored_as_given(command: Commands) -> None:
    (row,) = command.rows("SELECT id, name, timezone FROM workspace")
    assert tuple(row) == ("acme", "Acme", "Asia/Kathmandu")


def test_workspaces_are_listed_a_line_each(command: Commands) -> None:
    assert command("workspace", "create", "Shop", "--name", "The\tshop\nof Ada").exit_code == 0
    rows = [line.split("\t") for line in command("workspace", "list").output.splitlines()]
    days = command.rows("SELECT (created_at AT TIME ZONE 'UTC')::date AS day FROM workspace")
    assert [(*row[:2], *row[3:]) for row in rows] == [
        ("id", "timezone", "name"),
        ("Shop", "UTC", "The\ufffdshop\ufffdof Ada"),
        ("acme", "Asia/Kathmandu", "Acme"),
    ]
    assert {row[2] for row in rows[1:]} == {str(row["day"]) for row in days}


def test_a_workspace_gets_another_name_and_zone(command: Commands) -> None:
    def stored() -> tuple[str, str]:
        (row,) = command.rows("SELECT name, timezone FROM workspace")
        return row["name"], row["timezone"]

    assert command("workspace", "set", "acme", "--name", "Acme & Co").exit_code == 0
    assert stored() == ("Acme & Co", "Asia/Kathmandu")
    assert command("workspace", "set", "acme", "--timezone", "UTC").exit_code == 0
    for words, message in (
        (("acme", "--timezone", "Mars/Olympus"), "not an IANA time zone"),
        (("other", "--name", "N"), "there is no workspace 'other'"),
        (("acme",), "give --name, --timezone, or both"),
    ):
        refused = command("workspace", "set", *words)
        assert refused.exit_code > 0
        assert message in refused.output
    assert stored() == ("Acme & Co", "UTC")


@pytest.mark.parametrize(
    ("workspace", "timezone", "message"),
    [
        ("acme", "UTC", "there is a workspace 'acme' already"),
        ("a/b", "UTC", "not a workspace id"),
        ("", "UTC", "not a workspace id"),
        ("x" * 65, "UTC", "not a workspace id"),
        ("other", "Mars/Olympus", "not an IANA time zone"),
        ("other", "../../etc/passwd", "not an IANA time zone"),
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
        *("--scope", "analytics", "--scope", "track", "--scope", "analytics"),
        *("--domain", "Mail.Example.com", "--domain", "Bücher.example.", "--domain", "mail.example.com"),
    )
    key = made.output.strip()
    (row,) = command.rows("SELECT * FROM api_key")
    assert row["id"] == api_keys.id_of(key)
    assert row["hmac"] == api_keys.digest(key, Secret(PEPPER))
    assert (row["role"], row["scopes"], row["domains"]) == (
        "domain_admin",
        ["analytics", "track"],
        ["mail.example.com", "xn--bcher-kva.example"],
    )
    assert key not in str(dict(row))
    assert key not in command("key", "list").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--workspace", "nobody", "--role", "admin", "--scope", "track"), "no workspace 'nobody'"),
        (("--workspace", "acme", "--role", "domain_admin", "--scope", "track"), "needs its domains"),
        (("--workspace", "acme", "--role", "admin", "--scope", "track", "--domain", "a.b"), "only a domain_admin"),
        (
            ("--workspace", "acme", "--role", "domain_admin", "--scope", "track", "--domain", "https://a.b"),
            "not a domain name",
        ),
        (("--workspace", "acme", "--role", "domain_admin", "--scope", "track", "--domain", " "), "not a domain name"),
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
    assert "no workspace 'other'; `postmeter workspace list`" in command("key", "list", "--workspace", "other").output
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


def test_keys_are_listed_under_a_header(command: Commands) -> None:
    key = command("key", "create", "--workspace", "acme", "--role", "admin", "--scope", "track").output.strip()
    assert command("key", "list").output.splitlines() == [
        "id\tworkspace\trole\tscopes\tdomains\tstate",
        f"{api_keys.id_of(key)}\tacme\tadmin\ttrack\t-\tvalid",
    ]


def test_a_whole_key_revokes_itself_and_is_not_shown(command: Commands) -> None:
    key = command("key", "create", "--workspace", "acme", "--role", "admin", "--scope", "track").output.strip()
    result = command("key", "revoke", key)
    assert result.output == f"key {api_keys.id_of(key)} revoked\n"
    assert "\trevoked " in command("key", "list").output
    unknown = api_keys.new()[1]
    assert unknown[19:] not in command("key", "revoke", unknown).output
    assert unknown[19:-1] not in command("key", "revoke", unknown[:-1]).output


CREATE = ("key", "create", "--workspace", "acme", "--role", "admin", "--scope", "track")


def test_a_server_of_the_environment_needs_the_pepper_of_the_environment(
    command: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / options.DEFAULT_DATA).mkdir()
    vault.load_or_create(tmp_path / options.DEFAULT_DATA)
    result = CliRunner().invoke(main, CREATE, env={access.DSN: command.dsn, access.PEPPER: None})
    assert result.exit_code == 1
    assert "POSTMETER_KEY_PEPPER is not set" in result.output
    assert command.rows("SELECT 1 FROM api_key") == []


def test_a_directory_that_is_named_wins_over_the_environment(
    command: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ((access.DSN, "postgresql://nobody@127.0.0.1:1/none"), (access.PEPPER, PEPPER)):
        monkeypatch.setenv(name, value)
    missing = tmp_path / "missing"
    for arguments in (CREATE, ("key", "list"), ("migrate",)):
        result = CliRunner().invoke(main, [*arguments, "--data", str(missing)])
        assert f"{missing} holds no Postmeter data" in result.output
    pepper = vault.load_or_create(tmp_path).key_pepper
    (tmp_path / "postgres").mkdir()
    assert access.key_pepper(tmp_path).reveal() == pepper.reveal()
    with DirectoryLock(tmp_path), access.database_dsn(tmp_path) as dsn:
        assert str(tmp_path) in dsn.reveal() or "postmeter-" in dsn.reveal()
        assert "nobody" not in dsn.reveal()


def test_a_directory_without_a_postgres_of_its_own_lends_its_pepper(command: Commands, tmp_path: Path) -> None:
    pepper = vault.load_or_create(tmp_path).key_pepper
    key = command(*CREATE, "--data", str(tmp_path)).output.strip()
    (row,) = command.rows("SELECT hmac FROM api_key")
    assert row["hmac"] == api_keys.digest(key, pepper)
    result = CliRunner().invoke(main, [*CREATE, "--data", str(tmp_path)], env={access.DSN: None})
    assert "has no Postgres of its own: name its server in POSTMETER_POSTGRES_DSN" in result.output
    assert not (tmp_path / "postgres").exists()


def test_outside_of_a_data_directory_one_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, CREATE, env={access.DSN: None, access.PEPPER: None})
    assert result.exit_code == 1
    assert "holds no Postmeter data: name its directory with --data" in result.output


def test_a_database_without_the_schema_asks_for_migrate(empty_postgres_dsn: str) -> None:
    command = Commands(empty_postgres_dsn)
    for arguments in (CREATE, ("key", "list"), ("workspace", "create", "acme", "--name", "Acme")):
        result = command(*arguments)
        assert result.exit_code == 1
        assert result.output.endswith("run `postmeter migrate`\n")


def test_a_file_that_cannot_be_used_is_not_called_postgres(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    result = CliRunner().invoke(main, ["up", "--data", str(tmp_path / "data" / "inner")])
    assert result.exit_code != 0
    assert "Postgres" not in result.output
    assert isinstance(result.exception, SystemExit)


def test_the_first_key_gets_scopes_that_are_new_unless_it_was_revoked(command: Commands) -> None:
    key = Secret(api_keys.new()[1])

    async def ensure() -> None:
        connection = await asyncpg.connect(command.dsn)
        try:
            await key_registry.ensure(connection, Secret(PEPPER), "acme", key)
        finally:
            await connection.close()

    for change, expected in (("now() IS NULL", True), ("true", False)):
        asyncio.run(ensure())
        command.rows(
            f"UPDATE api_key SET scopes = '{{track}}', revoked_at = CASE WHEN {change} THEN now() END RETURNING 1"
        )
        asyncio.run(ensure())
        (row,) = command.rows("SELECT role, scopes FROM api_key")
        assert (row["role"], row["scopes"] == list(api_keys.SCOPES)) == ("super_admin", expected)

"""The command for webhook sources, on a real database."""

import asyncio

import asyncpg
import pytest
from click.testing import CliRunner, Result

from postmeter.cli.main import main
from postmeter.shared.auth.secret import Secret
from postmeter.shared.storage import sources

KEY = "key-of-this-test"
BASE = "https://api.example.com"


class Commands:
    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def __call__(self, *arguments: str, typed: str | None = None) -> Result:
        environ = {
            "POSTMETER_POSTGRES_DSN": self.dsn,
            "POSTMETER_SOURCE_KEY": KEY,
            "POSTMETER_PUBLIC_GATEWAY_URL": BASE,
            "POSTMETER_KEY_PEPPER": "pepper",
        }
        return CliRunner().invoke(main, arguments, env=environ, input=typed)

    def create(self, provider: str, secret: str | None = None) -> tuple[str, str]:
        """(id, output) of a new source."""
        given = ("--secret-file", "-") if secret is not None else ()
        made = self("source", "create", "--workspace", "acme", "--provider", provider, *given, typed=secret)
        assert made.exit_code == 0, made.output
        url = made.output.split()[1]
        assert url.startswith(f"{BASE}/v1/webhooks/{provider}/src_")
        return url.rpartition("/")[2], made.output

    def secret(self, source_id: str) -> str:
        """What is stored, in clear."""

        async def fetched() -> str:
            connection = await asyncpg.connect(self.dsn)
            try:
                stored: str = await connection.fetchval("SELECT secret FROM webhook_source WHERE id = $1", source_id)
                return stored
            finally:
                await connection.close()

        return sources.decrypt(asyncio.run(fetched()), Secret(KEY)).reveal()


@pytest.fixture
def command(postgres_dsn: str) -> Commands:
    commands = Commands(postgres_dsn)
    assert commands("workspace", "create", "acme", "--name", "Acme", "--timezone", "UTC").exit_code == 0
    return commands


def test_a_secret_of_ours_is_made_and_shown_once(command: Commands) -> None:
    source_id, output = command.create("mailjet")
    assert f"secret {command.secret(source_id)}" in output
    assert command.secret(source_id) not in command("source", "list").output


def test_a_secret_of_theirs_may_come_with_the_source(command: Commands) -> None:
    source_id, output = command.create("mandrill", "their-key")
    assert command.secret(source_id) == "their-key"
    assert "their-key" not in output


def test_a_secret_of_theirs_may_come_once_the_provider_knows_the_url(command: Commands) -> None:
    source_id, output = command.create("mailersend")
    before = command.secret(source_id)
    assert "secret missing" in output
    assert before not in output
    assert len(before) >= 32  # nobody can sign with it before theirs is there
    stored = command("source", "secret", source_id, typed="their-signing-secret\n")
    assert stored.exit_code == 0, stored.output
    assert command.secret(source_id) == "their-signing-secret"
    assert "their-signing-secret" not in stored.output
    assert command("source", "secret", source_id, "--secret-file", "-", typed=" newer ").exit_code == 0
    assert command.secret(source_id) == "newer"


@pytest.mark.parametrize("revoked", [True, False])
def test_a_source_that_is_not_there_takes_no_secret(command: Commands, revoked: bool) -> None:
    source_id, _ = command.create("mandrill", "their-key")
    if revoked:
        assert command("source", "revoke", source_id).exit_code == 0
    named = source_id if revoked else "src_" + "0" * 20
    result = command("source", "secret", named, typed="another")
    assert result.exit_code == 1
    assert "there is no source" in result.output
    assert command.secret(source_id) == "their-key"


@pytest.mark.parametrize(
    ("provider", "secret"),
    [
        ("sendgrid", "SG.an-api-key"),
        ("resend", "re_123_an_api_key"),
        ("resend", "whsec_"),
        ("postal", "an-api-key"),
        ("mailgun", " "),
    ],
)
def test_a_secret_that_nothing_could_fit_is_refused_at_once(command: Commands, provider: str, secret: str) -> None:
    arguments = ("source", "create", "--workspace", "acme", "--provider", provider, "--secret-file", "-")
    made = command(*arguments, typed=secret)
    assert made.exit_code == 1
    assert "secret" in made.output
    source_id, _ = command.create(provider)
    before = command.secret(source_id)
    changed = command("source", "secret", source_id, typed=secret + "\n")
    assert changed.exit_code == 1, changed.output
    assert command.secret(source_id) == before
    assert len(command("source", "list").output.splitlines()) == 2


@pytest.mark.parametrize(
    "topics",
    ["mail-events", "arn:aws:sns:eu-west-1:123456789012:a,rubbish", "arn:aws:sns:eu-west-1:123456789012:events.fifo"],
)
def test_topics_are_arns_of_topics_that_can_post(command: Commands, topics: str) -> None:
    made = command("source", "create", "--workspace", "acme", "--provider", "ses", "--option", f"topics={topics}")
    assert made.exit_code == 1
    assert "docs/webhooks/ses.md" in made.output


def test_a_password_that_travels_in_the_url_is_shown_in_it(command: Commands) -> None:
    source_id, output = command.create("postmark")
    assert f"paste  https://postmeter:{command.secret(source_id)}@api.example.com/v1/webhooks/postmark/" in output
    _, elsewhere = command.create("sparkpost")
    assert "paste" not in elsewhere


def test_a_secret_on_a_command_line_is_refused_and_said_to_be_lost(command: Commands) -> None:
    source_id, _ = command.create("mandrill", "their-key")
    for arguments in (
        ("source", "create", "--workspace", "acme", "--provider", "mandrill", "--secret", "a-new-key"),
        ("source", "secret", source_id, "--secret", "a-new-key"),
    ):
        result = command(*arguments)
        assert result.exit_code == 2
        assert "--secret-file" in result.output
        assert "a-new-key" not in result.output
    assert command.secret(source_id) == "their-key"
    assert len(command("source", "list").output.splitlines()) == 2


def test_a_name_is_one_cell_whatever_the_api_took(command: Commands) -> None:
    source_id, _ = command.create("mandrill", "their-key")

    async def name() -> None:
        connection = await asyncpg.connect(command.dsn)
        await connection.execute("UPDATE webhook_source SET name = $1", "a\tb\nsrc_x\x1b]0;owned\x07\u202e")
        await connection.close()

    asyncio.run(name())
    output = command("source", "list").output
    _, row = output.splitlines()
    assert row.split("\t")[3:4] == ["a\ufffdb\ufffdsrc_x\ufffd]0;owned\ufffd\ufffd"]
    assert source_id in row

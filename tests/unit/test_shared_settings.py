"""Settings from the environment, and secrets that do not show."""

from dataclasses import asdict, dataclass

import pytest

from postmeter.shared.errors import SettingsError
from postmeter.shared.secret import Secret
from postmeter.shared.settings import PostgresSettings, Settings, load


@dataclass(frozen=True, kw_only=True)
class Example(Settings, PostgresSettings):
    port: int = 8080


def test_values_come_from_the_environment() -> None:
    loaded = load(Example, {"POSTMETER_POSTGRES_DSN": "postgres://x", "POSTMETER_PORT": "9", "POSTMETER_HOST": "::1"})
    assert (loaded.port, loaded.host, loaded.postgres_dsn) == (9, "::1", Secret("postgres://x"))


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="POSTMETER_POSTGRES_DSN is not set"):
        load(Example, {})


def test_a_wrong_setting_is_named_with_what_it_takes() -> None:
    with pytest.raises(SettingsError, match="POSTMETER_PORT: Expected `int`"):
        load(Example, {"POSTMETER_POSTGRES_DSN": "x", "POSTMETER_PORT": "many"})


def test_a_secret_shows_in_no_representation() -> None:
    loaded = load(Example, {"POSTMETER_POSTGRES_DSN": "postgres://u:hunter2@h/d"})
    assert "hunter2" not in f"{loaded!r} {loaded.postgres_dsn} {asdict(loaded)}"
    assert loaded.postgres_dsn.reveal().endswith("hunter2@h/d")

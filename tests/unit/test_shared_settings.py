"""Settings from the environment, and secrets that do not show."""

from dataclasses import asdict, dataclass

import pytest

from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError
from postmeter.shared.process.setting_types import Port, Seconds
from postmeter.shared.process.settings import AnsweringSettings, PostgresSettings, StreamSettings, load

DSN = "postgresql://u@h/d"


@dataclass(frozen=True, kw_only=True)
class Example(AnsweringSettings, PostgresSettings, StreamSettings):
    port: Port = 8080
    seconds: Seconds = 1.0
    plain: bool = False
    optional: Secret | None = None


GIVEN = {"POSTMETER_POSTGRES_DSN": DSN, "POSTMETER_REDIS_URL": "redis://h"}


def test_values_come_from_the_environment() -> None:
    loaded = load(Example, {**GIVEN, "POSTMETER_PORT": "9", "POSTMETER_HOST": "::1", "POSTMETER_OPTIONAL": "s"})
    assert (loaded.port, loaded.host, loaded.postgres_dsn, loaded.optional) == (9, "::1", Secret(DSN), Secret("s"))
    assert load(Example, {**GIVEN, "POSTMETER_LOG_LEVEL": "INFO"}).log_level == "info"


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Example, {"POSTMETER_POSTGRES_DSN": ""})
    assert str(caught.value) == "POSTMETER_POSTGRES_DSN, POSTMETER_REDIS_URL are not set; see docs/operating.md"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "many", "takes a port from 0 to 65535, not 'many'"),
        ("PORT", "99999", "takes a port from 0 to 65535, not '99999'"),
        ("OPS_PORT", "-1", "takes a port from 0 to 65535"),
        ("SHARDS", "x", "takes a whole number from 1 to 256, not 'x'"),
        ("SHARDS", "0", "takes a whole number from 1"),
        ("SHARDS", "1.5", "takes a whole number"),
        ("POSTGRES_POOL", "0", "takes a whole number from 1"),
        ("LOG_LEVEL", "loud", "takes debug or info or warning or error or critical, not 'loud'"),
        ("LOG_FORMAT", "xml", "takes auto or console or json, not 'xml'"),
        ("STOP_TIMEOUT", "nan", "takes seconds from 0 to 86400, not 'nan'"),
        ("STOP_TIMEOUT", "inf", "takes seconds"),
        ("STOP_TIMEOUT", "-3", "takes seconds"),
        ("SECONDS", "0", "takes seconds from 0.001 to 86400"),
        ("PLAIN", "maybe", "takes true or false"),
        ("REDIS_URL", "nonsense", "takes redis://"),
        ("REDIS_URL", "redis://h:port", "takes redis://"),
        ("REDIS_URL", "redis://h/one", "takes redis://"),
        ("REDIS_URL", "http://[", "takes redis://"),
        ("POSTGRES_DSN", "nonsense", "takes postgresql://"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_takes(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Example, {**GIVEN, f"POSTMETER_{name}": value})
    assert str(caught.value).startswith(f"POSTMETER_{name} {message}")


def test_what_was_wrong_in_a_secret_is_not_shown() -> None:
    for name in ("POSTMETER_REDIS_URL", "POSTMETER_POSTGRES_DSN"):
        with pytest.raises(SettingsError, match=name) as caught:
            load(Example, {**GIVEN, name: "hunter2"})
        assert "hunter2" not in str(caught.value)


def test_of_several_hosts_the_primary_is_asked_for() -> None:
    """Postgres calls no server `read-write` to a session that only reads, as some of ours do."""
    several = "postgresql://u:p@a,b/d?target_session_attrs="
    assert load(Example, {**GIVEN, "POSTMETER_POSTGRES_DSN": f"{several}primary"})
    with pytest.raises(SettingsError, match="with several hosts target_session_attrs=primary"):
        load(Example, {**GIVEN, "POSTMETER_POSTGRES_DSN": f"{several}read-write"})


@pytest.mark.parametrize("url", ["redis://h", "redis://:p@h:1/2", "rediss://h", "unix:///run/redis.sock?db=1"])
def test_what_redis_understands_is_taken(url: str) -> None:
    assert load(Example, {**GIVEN, "POSTMETER_REDIS_URL": url}).redis_url.reveal() == url


def test_a_secret_shows_in_no_representation() -> None:
    loaded = load(Example, {**GIVEN, "POSTMETER_POSTGRES_DSN": "postgres://u:hunter2@h/d"})
    assert "hunter2" not in f"{loaded!r} {loaded.postgres_dsn} {asdict(loaded)}"
    assert loaded.postgres_dsn.reveal().endswith("hunter2@h/d")

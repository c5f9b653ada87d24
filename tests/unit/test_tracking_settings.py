"""tracking-service's settings: wrong ones name their variable."""

import pytest

from postmeter.shared.errors import SettingsError
from postmeter.shared.process.settings import load
from postmeter.tracking.settings import TrackingSettings

ENVIRON = {
    "POSTMETER_REDIS_URL": "redis://:hidden@localhost",
    "POSTMETER_INTERNAL_SECRET": "hidden",
    "POSTMETER_TOKEN_KEYS": "1:hidden",
    "POSTMETER_PUBLIC_URL": "https://t.example.com/",
    "POSTMETER_SPOOL_DIR": "/var/lib/postmeter",
}


def test_defaults_and_no_secret_shown() -> None:
    settings = load(TrackingSettings, ENVIRON)
    assert (settings.port, settings.trusted_hops, settings.base_url) == (8081, 0, "https://t.example.com")
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize("name", ENVIRON)
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(TrackingSettings, {key: value for key, value in ENVIRON.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTMETER_PUBLIC_URL", "t.example.com"),
        ("POSTMETER_PUBLIC_URL", "javascript:alert(1)"),
        ("POSTMETER_PUBLIC_URL", "https://t.example.com/?a=b"),
        ("POSTMETER_PUBLIC_URL", "https://bücher.example"),
        ("POSTMETER_PUBLIC_URL", "https://user@t.example.com"),
        ("POSTMETER_PORT", "http"),
        ("POSTMETER_SHARDS", "0"),
        ("POSTMETER_SPOOL_BYTES", "-1"),
        ("POSTMETER_TRUSTED_HOPS", "-1"),
        ("POSTMETER_APPEND_DEADLINE", "0"),
        ("POSTMETER_STOP_TIMEOUT", "nan"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(TrackingSettings, {**ENVIRON, name: value})

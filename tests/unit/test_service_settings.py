"""Settings of the other services: wrong ones name their variable, and so does a port that cannot be had."""

import socket
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from postmeter.aggregator.settings import AggregatorSettings
from postmeter.gateway.settings import GatewaySettings
from postmeter.query.settings import QuerySettings
from postmeter.shared.errors import SettingsError
from postmeter.shared.http import ports
from postmeter.shared.process import ops
from postmeter.shared.process.settings import load

GIVEN = {
    "POSTMETER_POSTGRES_DSN": "postgresql://h/d",
    "POSTMETER_REDIS_URL": "redis://h",
    "POSTMETER_INTERNAL_SECRET": "s",
    "POSTMETER_KEY_PEPPER": "p",
    "POSTMETER_TRACKING_URL": "http://h:1",
    "POSTMETER_QUERY_URL": "http://h:2/",
    "POSTMETER_PUBLIC_GATEWAY_URL": "https://api.example.com/",
    "POSTMETER_EXPORT_DIR": "exports",
}


@pytest.mark.parametrize(
    ("struct", "name", "value"),
    [
        (AggregatorSettings, "POSTMETER_BATCH_RECORDS", "-5"),
        (AggregatorSettings, "POSTMETER_FLUSH_SECONDS", "0"),
        (AggregatorSettings, "POSTMETER_FLUSH_PAUSE", "nan"),
        (AggregatorSettings, "POSTMETER_RETAIN_EVENTS", "0"),
        (QuerySettings, "POSTMETER_STATEMENT_TIMEOUT", "-3"),
        (QuerySettings, "POSTMETER_STATEMENT_TIMEOUT", "0.0001"),
        (QuerySettings, "POSTMETER_PUBLIC_GATEWAY_URL", "api.example.com"),
        (QuerySettings, "POSTMETER_PUBLIC_GATEWAY_URL", "https://api.example.com/?x=1"),
        (QuerySettings, "POSTMETER_EXPORT_BUCKET", "bucket"),
        (QuerySettings, "POSTMETER_EXPORT_ENDPOINT", "ftp://h"),
        (QuerySettings, "POSTMETER_EXPORT_LIFETIME", "0"),
        (GatewaySettings, "POSTMETER_PORT", "99999"),
        (GatewaySettings, "POSTMETER_HITS", "0"),
        (GatewaySettings, "POSTMETER_TRUSTED_HOPS", "-1"),
        *[
            (GatewaySettings, "POSTMETER_RATE_LIMITS", text)
            for text in (
                "read",
                "read=",
                "read=0",
                "read=-1",
                "read=1.5",
                "read=1e3",
                "reads=1",
                "read=1,read=2",
                "read=9999999",
            )
        ],
        (GatewaySettings, "POSTMETER_TRACKING_URL", "https://h"),
        (GatewaySettings, "POSTMETER_PUBLIC_GATEWAY_URL", "ftp://h"),
        (GatewaySettings, "POSTMETER_PUBLIC_GATEWAY_URL", "https://who@h"),
        (GatewaySettings, "POSTMETER_PUBLIC_GATEWAY_URL", "https://h/path"),
        (QuerySettings, "POSTMETER_PUBLIC_GATEWAY_URL", "https://h#part"),
        (GatewaySettings, "POSTMETER_OIDC_ISSUER", "http://id.example"),
        (GatewaySettings, "POSTMETER_QUERY_URL", "http://h:port"),
    ],
)
def test_what_is_wrong_is_named(struct: type[Any], name: str, value: str) -> None:
    load(struct, GIVEN)
    with pytest.raises(SettingsError, match=f"^{name} takes"):
        load(struct, {**GIVEN, name: value})


@pytest.mark.parametrize("missing", ["POSTMETER_PUBLIC_GATEWAY_URL", "POSTMETER_OIDC_CLIENT_ID"])
def test_an_openid_provider_needs_all_that_it_is_asked_with(missing: str) -> None:
    given = GIVEN | {"POSTMETER_OIDC_ISSUER": "https://id.example", "POSTMETER_OIDC_CLIENT_ID": "postmeter"}
    load(GatewaySettings, given)
    with pytest.raises(SettingsError, match=missing):
        load(GatewaySettings, {name: value for name, value in given.items() if name != missing})


async def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"127\.0\.0\.1 port {port} \(POSTMETER_HOST, POSTMETER_OPS_PORT\)"):
            await ops.start("query", "127.0.0.1", port, CollectorRegistry(), {})


def test_an_unknown_host_is_named() -> None:
    with (
        pytest.raises(SettingsError, match=r"nowhere\.invalid port 80 \(POSTMETER_HOST, POSTMETER_PORT\)"),
        ports.named_errors("nowhere.invalid", 80),
    ):
        raise socket.gaierror(-2, "Name or service not known")

"""Deliveries of email providers as they make them: signed by their schemes with keys of the tests' own."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from multidict import CIMultiDict

from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import RequestError
from postmeter.tracking.webhooks.provider import Delivery, Provider, Reading, WebhookSource

NOW = 1_790_000_000
"""When deliveries of the unit tests come, in Unix seconds."""
OUR_ID = "0192abc0-def1-7000-8000-00000000000a"
Headers = dict[str, str]


def raw(payload: object) -> bytes:
    """Bytes as they are, anything else as JSON."""
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def delivery(body: object, headers: Mapping[str, str] | None = None, now: float = NOW) -> Delivery:
    return Delivery(
        raw(body), CIMultiDict(headers or {}), "https://gateway.example/v1/webhooks/x/y", round(now * 1_000_000)
    )


def source(provider: str, secret: str, **options: str) -> WebhookSource:
    return WebhookSource("src_00000000000000000000", 1, provider, Secret(secret), options)


def readings(provider: Provider, body: object) -> list[Reading]:
    """What a delivery says, without its signature."""
    return [found for item in provider.items(delivery(body)) for found in provider.read(item)]


def reading(provider: Provider, body: object) -> Reading:
    (found,) = readings(provider, body)
    return found


async def refusal(provider: Provider, given: Delivery, of: WebhookSource) -> str:
    """Why a delivery is refused; fails unless it is by 401."""
    with pytest.raises(RequestError) as caught:
        await provider.verify(given, of)
    assert caught.value.status == 401
    assert not of.secret.reveal() or of.secret.reveal() not in caught.value.message
    return caught.value.message


def micros(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 time with zone."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

"""POSTMETER_RECIPIENT_HASH_KEY: recipients' hashes under a key, which must be the one of before."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterator

import asyncpg
import pytest

from postmeter.gateway import service as gateway
from postmeter.shared.auth import fingerprints
from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError
from postmeter.shared.privacy import recipients
from tests.integration.running_gateway import gateway_settings
from tests.roles import of_service

KEY, OTHER = Secret("a key of thirty-two characters .."), Secret("another key, just as long as that")


@pytest.fixture(autouse=True)
def without_a_key() -> Iterator[None]:
    yield
    recipients.use(None)


def test_a_hash_is_sha256_or_under_the_key_its_hmac() -> None:
    plain = hashlib.sha256(b"ada@example.com").hexdigest()
    assert recipients.hash_of(" Ada@EXAMPLE.com ") == plain
    recipients.use(KEY)
    keyed = hmac.new(KEY.reveal().encode(), b"ada@example.com", "sha256").hexdigest()
    assert recipients.hash_of(" Ada@EXAMPLE.com ") == keyed
    assert recipients.is_hash(keyed)
    assert not recipients.is_hash(keyed.upper())
    assert not recipients.is_hash(keyed + "\n")


def test_a_key_that_could_be_tried_out_is_refused() -> None:
    with pytest.raises(SettingsError, match="POSTMETER_RECIPIENT_HASH_KEY takes at least 16 characters"):
        recipients.RecipientSettings(recipient_hash_key=Secret("short"))


@pytest.mark.parametrize("keeper", ["tracking", "gateway"])
async def test_another_key_than_before_is_refused_by_every_service(postgres_dsn: str, keeper: str) -> None:
    pools = {
        service: await asyncpg.create_pool(of_service(postgres_dsn, service), min_size=0, max_size=1)
        for service in ("tracking", "gateway", "query")
    }
    try:
        for service, pool in pools.items():
            await recipients.check(pool, None, keeps=service != "query")
        await recipients.check(pools["query"], KEY, keeps=False)
        assert await fingerprints.kept(pools["query"]) == {}
        await recipients.check(pools[keeper], KEY, keeps=True)
        for service, pool in pools.items():
            await recipients.check(pool, KEY, keeps=service != "query")
            with pytest.raises(SettingsError, match="Put the old one back"):
                await recipients.check(pool, OTHER, keeps=service != "query")
            with pytest.raises(SettingsError, match="it is not set, and since 20"):
                await recipients.check(pool, None, keeps=service != "query")
    finally:
        for pool in pools.values():
            await pool.close()
    with pytest.raises(SettingsError, match="POSTMETER_RECIPIENT_HASH_KEY is not the one"):
        await asyncio.wait_for(gateway.serve(gateway_settings(postgres_dsn, "pepper"), asyncio.Event()), 60)

"""What is said, and to whom, when deliveries are not taken."""

import uuid
from pathlib import Path

import pytest
from multidict import CIMultiDict
from structlog.testing import capture_logs

from postmeter.shared.auth import sealed
from postmeter.shared.auth.secret import Secret
from postmeter.shared.storage import sources
from tests.webhooks.accounts import Postmark, SendGrid
from tests.webhooks.posting import posting


async def test_the_log_says_which_source_was_refused_and_why(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    async with posting(postgres_dsn, redis_url, tmp_path) as post:
        account = SendGrid()
        door = await post.source("sendgrid", account.secret, *account.options)
        genuine = account.delivered(door, str(uuid.uuid4()))
        with capture_logs() as lines:
            await post.take(door, genuine)
            for _ in range(5):
                assert (await post.post(door, account.forged(genuine)))[0] == 401
        told = [line for line in lines if line["event"] == "webhook not taken"]
    assert [(line["source"], line["status"], line["times"]) for line in told] == [(door.id, 401, 1)]
    assert "signature" in told[0]["reason"]
    assert account.secret not in str(told)


async def test_a_secret_stored_under_another_key_lets_the_provider_try_again(
    postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    async with posting(postgres_dsn, redis_url, tmp_path) as post:
        account = Postmark()
        door = await post.source("postmark", account.secret, *account.options)
        stored = sources.encrypt(Secret(door.secret), Secret("the key before"))
        await post.bench.db.execute("UPDATE webhook_source SET secret = $1", stored)
        with capture_logs() as lines:
            status, body, _ = await post.post(door, account.delivered(door, str(uuid.uuid4())))
        assert (status, body["error"]["code"]) == (503, "UNAVAILABLE")
        assert "POSTMETER_SOURCE_KEY" not in body["error"]["message"]
        reasons = [line["reason"] for line in lines if line["event"] == "webhook not taken"]
        assert [reason.split()[0] for reason in reasons] == ["POSTMETER_SOURCE_KEY"]
        assert await post.bench.streams.ends() == {}


async def test_a_gateway_that_tracking_service_does_not_know_lets_the_provider_try_again(
    postgres_dsn: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with posting(postgres_dsn, redis_url, tmp_path) as post:
        account, seal = SendGrid(), sealed.seal
        door = await post.source("sendgrid", account.secret, *account.options)
        genuine = account.delivered(door, str(uuid.uuid4()))
        with monkeypatch.context() as patched:
            patched.setattr(sealed, "seal", lambda name, what, _, *of: seal(name, what, Secret("another"), *of))
            status, body, _ = await post.post(door, genuine)
        assert (status, body["error"]["code"]) == (502, "BAD_GATEWAY")
        await post.take(door, genuine)


@pytest.mark.parametrize("order", [1, -1], ids=["the right one last", "the right one first"])
async def test_of_two_equal_headers_neither_counts_alone(
    postgres_dsn: str, redis_url: str, tmp_path: Path, order: int
) -> None:
    """Whoever stands before us may have looked at the other one."""
    async with posting(postgres_dsn, redis_url, tmp_path) as post:
        account = Postmark()
        door = await post.source("postmark", account.secret, *account.options)
        body, headers = account.delivered(door, str(uuid.uuid4()))
        of_another = {"Authorization": "Basic b3RoZXI6b3RoZXI="}
        both = [*of_another.items(), *headers.items()][::order]
        async with post.session.post(door.url, data=body, headers=CIMultiDict(both)) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (401, "WEBHOOK_REFUSED")
        await post.take(door, (body, headers))

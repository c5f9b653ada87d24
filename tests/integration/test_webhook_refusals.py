"""What stands in the log of tracking-service when deliveries are not taken."""

import uuid
from pathlib import Path

from structlog.testing import capture_logs

from tests.integration.webhook_world import ACCOUNTS, posting


async def test_the_log_says_which_source_was_refused_and_why(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    async with posting(postgres_dsn, redis_url, tmp_path) as post:
        account = ACCOUNTS["sendgrid"](post)
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

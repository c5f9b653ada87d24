"""What the disk does not let go is in Redis once; and that Redis is away is told before a hit comes."""

import asyncio
import errno
import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from postmeter.shared.auth.secret import Secret
from postmeter.tracking.durable import drainer as drainers
from postmeter.tracking.durable.appender import Appender
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.durable.drainer import Drainer
from postmeter.tracking.durable.segment import Spooled
from postmeter.tracking.durable.shard_count import ShardCount
from postmeter.tracking.durable.spool import Spool
from postmeter.tracking.metrics import TrackingMetrics
from tests.integration.tracking_service import SHARDS, batches
from tests.waiting import until


async def test_a_segment_that_cannot_be_deleted_is_not_appended_again(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that has become read-only."""
    spool, metrics = Spool(tmp_path, "0123456789abcdef", 1 << 20, 0), TrackingMetrics(CollectorRegistry())
    appenders = [Appender(Secret(redis_url), 60.0) for _ in range(2)]
    committer = Committer(appenders[1:], spool, metrics, "me", ShardCount(SHARDS))
    drainer = Drainer(appenders[0], spool, committer, metrics, ShardCount(SHARDS), 0)
    try:
        await spool.write([Spooled(SHARDS, b"me-1", b"\x90")])  # from when there was a shard more
        with monkeypatch.context() as disk, capture_logs() as lines:

            def fail(_: object, path: Path) -> None:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

            disk.setattr(Spool, "_forget", fail)
            for _ in range(3):
                committer.redis_up = False
                await drainer.drain()
                assert committer.redis_up, "new batches go to Redis all the same"
        assert [batch_id for _, batch_id, _ in batches(redis_url)] == ["me-1"]
        (told,) = [line for line in lines if line["log_level"] == "error"]
        assert "the disk of the spool fails" in told["event"]
        assert told["error"].endswith(".segment: Read-only file system")
        assert spool.waiting > 0
        await drainer.drain()
        assert spool.waiting == 0
        assert len(batches(redis_url)) == 1
    finally:
        for appender in appenders:
            await appender.close()
        spool.close()


async def test_redis_that_was_never_reached_is_told_before_the_first_hit(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a start with another POSTMETER_REDIS_URL."""
    monkeypatch.setattr(drainers, "FIRST_PAUSE", 0.01)
    spool, metrics = Spool(tmp_path, "0123456789abcdef", 1 << 20, 0), TrackingMetrics(CollectorRegistry())
    nowhere, here = Appender(Secret(f"unix://{tmp_path}/nowhere"), 60.0), Appender(Secret(redis_url), 60.0)
    committer = Committer([here], spool, metrics, "me", ShardCount(SHARDS))
    with capture_logs() as lines:
        away = asyncio.create_task(Drainer(nowhere, spool, committer, metrics, ShardCount(SHARDS), 0).run())
        try:

            async def told() -> bool:
                return committer.refused is not None

            await until(told)
        finally:
            away.cancel()
            await asyncio.wait([away])
        assert "No such file" in str(committer.refused)
        await Drainer(here, spool, committer, metrics, ShardCount(SHARDS), 0).drain()
    assert committer.refused is None
    events = [line["event"] for line in lines if line["log_level"] in ("info", "warning")]
    assert events == ["Redis does not take batches; spooling", "Redis takes batches again"]
    for appender in (nowhere, here):
        await appender.close()
    spool.close()

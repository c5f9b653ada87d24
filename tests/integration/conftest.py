"""What several of the integration tests start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from postmeter.cli.local.redis_server import RedisServer
from tests.integration.own_redis import own_redis


@pytest.fixture
def server(server_folder: Path, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, which it may kill, stop and fill."""
    with own_redis(server_folder, tmp_path) as own:
        yield own

"""What several of the integration tests start."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from postmeter.cli.local.redis_server import RedisServer
from postmeter.gateway.proxy import routes, upstream
from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.http import concurrency as turns
from tests.integration.own_redis import own_redis


@pytest.fixture
def server(server_folder: Path, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, which it may kill, stop and fill."""
    with own_redis(server_folder, tmp_path) as own:
        yield own


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the gateway and its endpoints, so that a test of them takes no seconds."""
    quick = tuple(msgspec.structs.replace(endpoint, timeout=0.3) for endpoint in ENDPOINTS)
    monkeypatch.setattr(routes.Routes.__init__, "__defaults__", (quick,))
    monkeypatch.setattr(upstream, "RESTART_SECONDS", 0.1)
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.1)

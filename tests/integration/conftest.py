"""What several of the integration tests start."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from postmeter.cli.local.servers.redis_server import RedisServer
from postmeter.gateway import routes
from postmeter.gateway.keys import remembered
from postmeter.gateway.proxy import upstream
from postmeter.shared.apis.table import ENDPOINTS
from postmeter.shared.http import concurrency as turns
from postmeter.shared.storage import postgres
from tests.integration.commands import Commands
from tests.integration.own_redis import own_redis
from tests.integration.people import PeopleGateway, people_gateway
from tests.integration.tracking_service import Service
from tests.product import PATIENCE


@pytest.fixture
def server(server_folder: Path, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, which it may kill, stop and fill."""
    with own_redis(server_folder, tmp_path) as own:
        yield own


@pytest.fixture
def spooling(server: RedisServer, tmp_path: Path) -> Iterator[Service]:
    """A tracking-service that soon spools where that Redis does not answer. It is killed at the end."""
    running = Service(server.url, tmp_path / "spool", append_deadline=0.3)
    yield running
    running.kill()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes long to connect to Postgres, and fails no test."""
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", PATIENCE)
    monkeypatch.setattr(remembered, "LOOK_UP_SECONDS", PATIENCE)


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the gateway, for turns and for services that are gone, so that a test of them takes no seconds."""
    monkeypatch.setattr(upstream, "RESTART_SECONDS", 0.1)
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.1)


@pytest.fixture
def impatient_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs of endpoints that are short, and longer than requests sent at the same time are on their way here."""
    quick = tuple(msgspec.structs.replace(endpoint, timeout=2.0) for endpoint in ENDPOINTS)
    monkeypatch.setattr(routes.Routes.__init__, "__defaults__", (quick,))


@pytest.fixture
def command(postgres_dsn: str) -> Commands:
    """Postmeter's commands, in a database that has the workspace `acme`."""
    commands = Commands(postgres_dsn)
    assert commands("workspace", "create", "acme", "--name", "Acme", "--timezone", "UTC").exit_code == 0
    return commands


@pytest.fixture
async def place(postgres_dsn: str, redis_url: str) -> AsyncIterator[PeopleGateway]:
    """A gateway and people who sign in there."""
    async with people_gateway(postgres_dsn, redis_url) as made:
        yield made


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has ended is known after a tenth of a second, not after two seconds."""
    monkeypatch.setattr(remembered, "FRESH_SECONDS", 0.1)

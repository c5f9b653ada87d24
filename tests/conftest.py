"""Real servers for every test that asks: external ones named by environment, else those of local mode."""

import asyncio
import fcntl
import gc
import os
import shutil
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis
import uvloop
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from postmeter.cli.local.servers.binaries import find_redis
from postmeter.cli.local.servers.redis_server import RedisServer
from tests import clusters, missing
from tests.databases import Databases, execute, make_template, on_database
from tests.product import PATIENCE, PREPARED

T = TypeVar("T")

# A test that a busy machine slows has not failed. Each run tries other examples: half as many find as much in two runs.
settings.register_profile("postmeter", deadline=None, max_examples=50)
settings.load_profile("postmeter")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Async tests run on the loop that the services really run on: its transports are not asyncio's."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_xdist_auto_num_workers() -> int:
    """Three more than cores, for tests also wait; one where all would share a Redis that each test empties."""
    return 1 if os.environ.get("POSTMETER_TEST_REDIS_URL") else len(os.sched_getaffinity(0)) + 3


ONE_PRODUCT = ("tests/acceptance/dashboard/",)
"""Folders whose files share a product and a browser."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The tests of a file run in one process, as `--dist loadfile` has it; those of such a folder, too."""
    if config.getvalue("dist") != "loadfile":
        return None
    scheduler = LoadFileScheduling(config, log)
    scheduler._split_scope = in_one_process
    return scheduler


def in_one_process(test: str) -> str:
    """What a test must share a process with: a folder, or its file."""
    return next((folder for folder in ONE_PRODUCT if test.startswith(folder)), test.partition("::")[0])


WAITING = ("tests/deploy/", "tests/acceptance/")
"""Folders whose tests are long, and wait for a whole product more than they work; the longest first."""
BETWEEN = 3
"""So many files of the others come between two of these."""
LONG = ("tests/simulation/",)
"""Folders of the others whose tests are long. Who is at one has the next file already: so none comes last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix files that wait with files that work: else all processes wait at the same time, and all work at another.

    The long ones are through when about half of all is: what is left are short files, which all processes end with.
    """
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(in_one_process(item.nodeid), []).append(item)
    waiting = [file for folder in WAITING for file in files if file.startswith(folder)]
    working = [file for file in files if not file.startswith(WAITING)]
    working.sort(key=lambda file: not file.startswith(LONG))
    mixed = []
    while waiting or working:
        mixed += [*waiting[:1], *working[:BETWEEN]]
        del waiting[:1], working[:BETWEEN]
    items[:] = [item for file in mixed for item in files[file]]


ALONE = "collects_alone"
"""A file in the run's folder, if one process has to collect before the others."""


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, Any, Any]:
    """What is collected stays to the end: it is not looked through for garbage, now or when a test makes some.

    Where nothing is kept of asserts that were rewritten, one process does it, and the others wait and read it.
    """
    gc.disable()
    alone = Path(os.environ[PREPARED]) / ALONE
    if hasattr(session.config, "workerinput") and alone.exists():
        with alone.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                fcntl.flock(lock, fcntl.LOCK_SH)
            else:
                return (yield)
    return (yield)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tests run as everything does."""
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """One folder for all processes of a run: for their temporary files, and for what tests/product.py prepares once."""
    if not hasattr(config, "workerinput"):
        place = fast_place()
        remove_leftovers(place)
        folder = Path(tempfile.mkdtemp(prefix=f"pmtest-{os.getpid()}-", dir=place))
        for part in (folder, folder / "tmp", folder / "prepared"):
            part.mkdir(exist_ok=True)
            part.chmod(0o711)
        os.environ |= {"TMPDIR": str(folder / "tmp"), PREPARED: str(folder / "prepared")}
        if not sys.dont_write_bytecode and not any(Path(__file__).parent.glob("unit/__pycache__/test_*-pytest-*")):
            (folder / "prepared" / ALONE).touch()
        tempfile.tempdir = None


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Of a run that failed the folder is kept until the next."""
    if not hasattr(session.config, "workerinput") and exitstatus == 0:
        shutil.rmtree(Path(os.environ[PREPARED]).parent, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was left out. Only what the machine lacks leaves a test out (tests/missing.py)."""
    missing.summarize(terminalreporter)


class _Loop:
    """An event loop in a thread of its own, so that fixtures never meet the loop of an async test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=PATIENCE)


@pytest.fixture(scope="session")
def fixture_loop() -> _Loop:
    return _Loop()


ROOM = 4 << 30


def fast_place() -> Path:
    """Memory if there is room in it, else the disk: a database for a test is made there twenty times faster, and what
    products write to be safe is not waited for.
    """
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM:
        return memory
    return Path(tempfile.gettempdir())


def remove_leftovers(place: Path) -> None:
    """Remove the folders of test runs that were killed; their servers have died with them."""
    if not Path("/proc/self").exists():
        return
    for folder in place.glob("pmtest-*-*"):
        pid = folder.name.split("-")[1]
        if folder.stat().st_uid == os.geteuid() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A short folder that Postgres, which never runs as root, can reach."""
    folder = Path(tempfile.mkdtemp(prefix=f"pmtest-{os.getpid()}-", dir=fast_place()))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path, fixture_loop: _Loop) -> Iterator[str]:
    """The DSN of a running Postgres whose user may create databases."""
    external = os.environ.get("POSTMETER_TEST_POSTGRES_DSN")
    if external:
        yield external
        return
    server = clusters.copied(server_folder, fixture_loop.run)
    server.start()
    yield server.dsn()
    server.stop()


@pytest.fixture(scope="session")
def redis_server(server_folder: Path) -> Iterator[str]:
    """The URL of a running Redis-compatible server."""
    external = os.environ.get("POSTMETER_TEST_REDIS_URL")
    if external:
        yield external
        return
    server = RedisServer(
        binary=find_redis(),
        data=server_folder / "redis",
        sockets=server_folder,
        log=server_folder / "redis.log",
        memory="256mb",
        durable=False,
    )
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def databases(postgres_server: str, fixture_loop: _Loop) -> Iterator[Databases]:
    """Where tests get databases from that have every migration."""
    if not os.environ.get("POSTMETER_TEST_POSTGRES_DSN"):
        yield Databases(postgres_server, clusters.TEMPLATE)
        return
    template = f"template_{uuid.uuid4().hex[:12]}"
    fixture_loop.run(make_template(postgres_server, template))
    made = Databases(postgres_server, template)
    yield made
    fixture_loop.run(made.close())
    fixture_loop.run(execute(postgres_server, f'DROP DATABASE "{template}" WITH (FORCE)'))


@pytest.fixture
def postgres_dsn(databases: Databases, fixture_loop: _Loop) -> Iterator[str]:
    """The DSN of a database of this test's own, as new, with every migration applied."""
    dsn = fixture_loop.run(databases.take())
    yield dsn
    fixture_loop.run(databases.give_back(dsn))


@pytest.fixture(scope="module")
def shared_postgres_dsn(databases: Databases, fixture_loop: _Loop) -> Iterator[str]:
    """As `postgres_dsn`, for the tests of one file that share a world."""
    dsn = fixture_loop.run(databases.take())
    yield dsn
    fixture_loop.run(databases.give_back(dsn))


@pytest.fixture
def empty_postgres_dsn(postgres_server: str, fixture_loop: _Loop) -> Iterator[str]:
    """The DSN of a fresh, empty database of this test's own, for tests of the migrations."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    fixture_loop.run(execute(postgres_server, f'CREATE DATABASE "{name}"'))
    yield on_database(postgres_server, name)
    fixture_loop.run(execute(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)'))


def _emptied(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        client.function_flush("SYNC")
    return url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL of a Redis database that is empty when the test begins."""
    return _emptied(redis_server)


@pytest.fixture(scope="module")
def shared_redis_url(redis_server: str) -> str:
    """The same one, empty when the file's first test begins; no test beside asks for `redis_url`."""
    return _emptied(redis_server)

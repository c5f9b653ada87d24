"""docs/backup.md by its very commands: what is restored into empty places answers as what was backed up does."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis
import requests

from postmeter.cli.local.servers.binaries import find_postgres, find_redis
from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.apis.mail import webhooks
from postmeter.shared.apis.table import ENDPOINTS
from tests.acceptance.described_product import DOWNLOAD, DescribedProduct, filled, opens
from tests.databases import on_database
from tests.missing import need
from tests.product import Product, free_port, running, wait_for

PAGE = (Path(__file__).parents[2] / "docs/backup.md").read_text()
READER = {"User-Agent": "Thunderbird"}
DIMENSIONS = ("campaign", "domain", "template", "provider", "tag", "link", "mailbox_provider")
COMPARE = "/api/v1/workspaces/{workspaceId}/analytics/compare"


def commands(title: str) -> list[str]:
    """The page's commands under this mark, a line each."""
    block = PAGE.partition(f"<!-- {title} -->\n\n")[2]
    found = re.match(r"(?:    .*\n)+", block)
    assert found, title
    return found[0].splitlines()


EVERY = slice(None)


def follow(title: str, environ: Mapping[str, object], lines: slice = EVERY) -> None:
    """Do what the page says, or these lines of it, with these variables."""
    given = {**os.environ, **{name: str(value) for name, value in environ.items()}}
    script = "\n".join(["set -e", *commands(title)[lines]])
    done = subprocess.run(["bash", "-c", script], env=given, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that Postgres, which never runs as root, can reach."""
    made = Path(tempfile.mkdtemp(prefix="pm-backup-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def asked(endpoint: Endpoint) -> bool:
    """Whether it is a question. A pixel and a link are not: they count; what streams has no end."""
    if endpoint.path.startswith((OPEN_PATH, CLICK_PATH)) or endpoint.streams:
        return False
    return endpoint.method == "GET" or endpoint.path in ("/v1/query", COMPARE)


def questions(world: DescribedProduct) -> dict[str, tuple[str, str, Any]]:
    """Every question of the endpoint table about what `world` has: method, path and body, by name."""
    found: dict[str, tuple[str, str, Any]] = {}
    for endpoint in filter(asked, ENDPOINTS):
        body = world.body(endpoint) if endpoint.method == "POST" else None
        found[f"{endpoint.method} {endpoint.path}"] = (endpoint.method, world.path(endpoint), body)
    for dimension in DIMENSIONS:
        told = {"metrics": ["sent", "opens", "unique_opens", "clicks", "bounced"], "dimensions": [dimension]}
        found[f"by {dimension}"] = ("POST", "/v1/query", told)
    return found


def seen(world: DescribedProduct, product: Product, question: tuple[str, str, Any]) -> tuple[int, str]:
    """Status and body of the answer, without the product's own addresses and the request's number."""
    method, path, body = question
    answer = replace(world, product=product).ask(method, path, json=body)
    text = re.sub(r'"request_id":"\w+"', "", answer.text)
    for name in ("gateway", "tracking"):
        text = text.replace(product.ready[name], f"http://{name}")
    return answer.status_code, text


def opens_and_clicks(world: DescribedProduct, product: Product) -> tuple[int, int]:
    asked = replace(world, product=product).ask("POST", "/v1/query", json={"metrics": ["opens", "clicks"]})
    row = asked.json()["data"][0]
    return row["opens"], row["clicks"]


@dataclass
class Reader:
    """Somebody with a mail of `world`: opens it and follows its link."""

    world: DescribedProduct

    def reads(self, product: Product, times: int = 1) -> None:
        click, pixel = (self.world.links[path + "{token}"] for path in (CLICK_PATH, OPEN_PATH))
        for _ in range(times):
            url = product.ready["tracking"]
            answer = requests.get(url + pixel, headers=READER, timeout=60)
            assert "Postmeter-Dropped" not in answer.headers
            answer = requests.get(url + click, headers=READER, timeout=60, allow_redirects=False)
            assert (answer.status_code, answer.headers["Location"]) == (302, "https://shop.example/offer?a=1")
            assert "Postmeter-Dropped" not in answer.headers


def same(world: DescribedProduct, one: Product, other: Product, lost: frozenset[str] = frozenset()) -> None:
    """Both answer every question alike, but for those about what is `lost`, and at least twenty are answered.

    Asked one right after the other, and again where they differ, for many answers say the second they are of.
    """
    answered = 0
    for name, question in questions(world).items():
        pair: list[Any] = []

        def agree(question: Any = question, pair: list[Any] = pair) -> bool:
            pair[:] = seen(world, one, question), seen(world, other, question)
            return bool(pair[0] == pair[1])

        if name in lost:
            assert seen(world, other, question)[0] == 410
            continue
        try:
            wait_for("the same answer", agree)
        except AssertionError:
            raise AssertionError(f"{name}: {pair[0]} before, {pair[1]} restored") from None
        answered += pair[0][0] == 200
    assert answered > 20


TOLD = {"type": "opened", "id": "told before"}
DUPLICATE_EVENTS = 'postmeter_duplicates_total{kind="event"}'
DUPLICATE_BATCHES = 'postmeter_duplicates_total{kind="batch"}'


def tells(world: DescribedProduct, product: Product) -> dict[str, Any]:
    """The answer to an event with an idempotency key, always the same event."""
    event = {**TOLD, "message_id": world.ids["/v1/messages/{id}"]}
    answer: dict[str, Any] = replace(world, product=product).ask("POST", "/v1/events", json={"events": [event]}).json()
    return answer


def lives_on(world: DescribedProduct, product: Product, counted: tuple[int, int]) -> None:
    """Links that were mailed before still count, webhooks' secrets still fit, and what was counted does not again."""
    Reader(world).reads(product)
    assert tells(world, product)["duplicates"] == 1
    there = replace(world, product=product)
    delivered = {"RecordType": "Delivery", "MessageID": "m-1", "DeliveredAt": "2026-04-01T12:00:00Z"}
    assert there.ask("POST", world.links[webhooks.PATH], json=delivered).status_code == 200
    want = (counted[0] + 1, counted[1] + 1)
    wait_for("the reader to be counted", lambda: opens_and_clicks(world, product) == want)


def metric(product: Product, service: str, name: str) -> float:
    text = requests.get(f"{product.ready['ops'][service]}/metrics", timeout=60).text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def with_history(product: Product) -> DescribedProduct:
    """A product whose every question has an answer, once all of it is counted."""
    world = filled(product)
    before = opens(world)
    assert tells(world, product)["accepted"] == 1
    Reader(world).reads(product, 3)
    wait_for("it to be counted", lambda: opens_and_clicks(world, product)[0] == before + 4)
    wait_for("the clicks", lambda: opens_and_clicks(world, product)[1] == 7 + 3)
    return world


def test_local_mode_s_directory(folder: Path) -> None:
    with running(folder) as product:
        world = with_history(product)
        counted = opens_and_clicks(world, product)
    follow("local: back up", {"DIR": folder / "data", "BACKUP": folder / "backup"})
    assert (folder / "backup").stat().st_mode & 0o077 == 0, "it holds the secrets"
    (folder / "new").mkdir(mode=0o711)
    follow("local: restore", {"DIR": folder / "new/data", "BACKUP": folder / "backup"})
    with running(folder) as product, running(folder / "new") as restored:
        world.product = product
        same(world, product, restored)
        assert opens_and_clicks(world, restored) == counted
        lives_on(world, restored, counted)


@contextlib.contextmanager
def own_redis(data: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A durable Redis as an operator runs it."""
    settings = {"dir": data, "port": port, "save": "", "appendonly": "yes", "appendfsync": "always"}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    with (data.parent / "redis.txt").open("ab") as output:
        process = subprocess.Popen([find_redis(), *words], stdout=output, stderr=output)
    try:
        with redis.Redis(port=port) as client:
            wait_for("Redis", lambda: answers_ping(client))
        yield process
    finally:
        process.kill()
        process.wait()


def answers_ping(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def starts_anew(world: DescribedProduct, product: Product, port: int) -> None:
    """Redis is empty under a Postgres that has counted: what is known is still known, and counting goes on."""
    counted = opens_and_clicks(world, product)
    with redis.Redis(port=port) as client:
        client.flushall()
    wait_for("that to be noticed", lambda: metric(product, "aggregator", "postmeter_stream_regressions_total") >= 1)
    assert tells(world, product)["accepted"] == 1  # Redis knew its key
    Reader(world).reads(product)
    want = (counted[0] + 1, counted[1] + 1)
    wait_for("the reader to be counted", lambda: opens_and_clicks(world, product) == want)
    wait_for("the repeated event to be known", lambda: metric(product, "aggregator", DUPLICATE_EVENTS) >= 1)
    assert opens_and_clicks(world, product) == want


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def empty_database(server: str, name: str) -> str:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return on_database(server, name)


@pytest.fixture
def tools(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's programs on PATH."""
    need("/usr/bin/redis-cli", "apt install redis-tools")
    (folder / "bin").mkdir()
    (folder / "bin/redis-server").symlink_to(find_redis())
    postmeter = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}/bin:{find_postgres()}:{postmeter}:{os.environ['PATH']}")


@pytest.mark.usefixtures("tools")
async def test_own_servers(folder: Path, postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken while readers go on, with hits in the spool and in the streams that are counted nowhere yet."""
    old, new = [await empty_database(postgres_server, f"backup_{name}") for name in ("old", "new")]
    ports = [free_port(), free_port()]
    urls = [f"redis://127.0.0.1:{port}/0" for port in ports]
    places = [folder / "old", folder / "new"]
    for place in [*places, folder / "backup", *(place / "redis" for place in places)]:
        place.mkdir()
    backup = {"BACKUP": folder / "backup"}

    def use(dsn: str, url: str) -> None:
        monkeypatch.setenv("POSTMETER_POSTGRES_DSN", dsn)
        monkeypatch.setenv("POSTMETER_REDIS_URL", url)

    use(old, urls[0])
    with own_redis(places[0] / "redis", ports[0]) as server, running(places[0]) as product:
        world = with_history(product)
        counted = opens_and_clicks(world, product)
        reader = Reader(world)
        aggregator = wait_for("the aggregator", lambda: product.pid_of("run aggregator"))
        with frozen(aggregator):
            reader.reads(product)  # into the streams
            with frozen(server.pid):
                reader.reads(product)  # into the spool
                follow("servers: back up", {**backup, "SPOOL": product.data / "spool"}, slice(2))
            wait_for("the spool to drain", lambda: metric(product, "tracking", "postmeter_spool_bytes") == 0)
            follow("servers: back up", {**backup, "REDIS_URL": urls[0], "DSN": old}, slice(2, None))
        want = (counted[0] + 2, counted[1] + 2)
        wait_for("what has waited", lambda: opens_and_clicks(world, product) == want)

        use(new, urls[1])
        follow("servers: restore Postgres", {**backup, "DSN": new})
        where = {"REDIS_URL": urls[1], "REDIS_DIR": places[1] / "redis", "REDIS_PORT": str(ports[1])}
        follow("servers: restore Redis", {**backup, **where})
        (places[1] / "data").mkdir(mode=0o700)
        shutil.copy(product.data / "secrets.json", places[1] / "data")
        follow("servers: restore the spool", {**backup, "SPOOL": places[1] / "data/spool"})
        with own_redis(places[1] / "redis", ports[1]), running(places[1]) as restored:
            same(world, product, restored, frozenset([f"GET {DOWNLOAD}"]))
            assert opens_and_clicks(world, restored) == want
            assert metric(restored, "aggregator", DUPLICATE_BATCHES) >= 1, "nothing was in two copies"
            lives_on(world, restored, want)
            starts_anew(world, restored, ports[1])

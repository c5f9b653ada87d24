"""The services of the version before go on working on the schema of this one, until they are replaced (ADR 0057)."""

import asyncio
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import requests

from postmeter.shared.storage import migrate
from tests import missing, services
from tests.product import wait_for
from tests.roles import make_roles, of_service

ROOT = Path(__file__).parents[2]
BROWSER = {"User-Agent": "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Thunderbird/140.0"}


def git(*words: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=True).stdout


def migrations(commit: str) -> set[tuple[str, str]]:
    """Of each migration of a commit the name and the hash of its text; in which folder it was does not matter."""
    rows = [row.split() for row in git("ls-tree", "-r", commit).decode().splitlines()]
    return {(Path(path).name, blob) for _, _, blob, path in rows if Path(path).match("migrations/*.sql")}


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The latest code that lacks migrations of ours and has no others: one whose text was another was in no release."""
    files = sorted(ROOT.glob("*/postmeter/*/storage/migrations/*.sql"))
    try:
        hashes = git("hash-object", "--", *map(str, files)).decode().split()
        ours = set(zip((file.name for file in files), hashes, strict=True))
        changes = git("log", "--format=%H^", "--", "*/migrations/*.sql").decode().split()
        commit = next(one for one in ("HEAD", *changes) if migrations(one) < ours)
        archive = git("archive", commit)
    except (OSError, StopIteration, subprocess.CalledProcessError):
        missing.lack("the version before is read from the clone's history; have git and a full clone")
    folder = tmp_path / "before"
    folder.mkdir()
    subprocess.run(["tar", "--extract", "--directory", str(folder)], input=archive, check=True)
    return folder


def postmeter(*words: str) -> list[str]:
    """The command line, without the packages that the environment leads to (-S): among them is the present code."""
    return [sys.executable, "-S", "-c", "from postmeter.cli.main import main; main()", *words]


def test_it_counts_an_open_and_a_click_and_tells_of_them(
    before: Path, empty_postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    at = services.ports()
    places = [*(str(folder.parent) for folder in before.glob("*/postmeter")), sysconfig.get_path("purelib")]
    own = {name: value for name, value in os.environ.items() if not name.startswith("POSTMETER_")}
    own |= services.settings(empty_postgres_dsn, redis_url, tmp_path, at) | {"PYTHONPATH": os.pathsep.join(places)}
    asyncio.run(make_roles(empty_postgres_dsn))

    def of_before(*words: str) -> str:
        done = subprocess.run(postmeter(*words), env=own, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    of_before("migrate")
    of_before("workspace", "create", "shop", "--name", "Shop", "--timezone", "UTC")
    key = of_before(
        "key", "create", "--workspace", "shop", "--role", "admin", "--scope", "analytics", "--scope", "track"
    )
    assert asyncio.run(migrate.migrate(empty_postgres_dsn, after=False)), "there is nothing newer than that commit"

    def with_role(service: str) -> dict[str, str]:
        return own | {"POSTMETER_POSTGRES_DSN": of_service(empty_postgres_dsn, service)}

    with services.running(postmeter, with_role, tmp_path, at), requests.Session() as caller:
        caller.headers["Authorization"] = f"Bearer {next(word for word in key.split() if word.startswith('pm_'))}"
        gateway, tracking = (f"http://127.0.0.1:{at[service][0]}" for service in ("gateway", "tracking"))
        mail = {"from_address": "news@shop.example", "to": "ada@mail.example", "subject": "Hello"}
        mail["html"] = '<a href="https://shop.example/">The shop</a>'
        made = caller.post(f"{gateway}/v1/messages", json=mail, timeout=60)
        assert made.ok, made.text
        message = made.json()["data"]
        for url, status in ((message["open_url"], 200), (message["links"][0]["tracking_url"], 302)):
            hit = requests.get(
                url.replace("https://t.shop.example", tracking), headers=BROWSER, timeout=60, allow_redirects=False
            )
            assert hit.status_code == status

        def counted() -> bool:
            answer = caller.post(f"{gateway}/v1/query", json={"metrics": ["opens", "clicks"]}, timeout=60)
            assert answer.ok, answer.text
            return '"opens":1,"clicks":1' in answer.text

        wait_for("open and click to be counted", counted)
        assert caller.get(f"{gateway}/v1/messages/{message['id']}", timeout=60).ok

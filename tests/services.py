"""The four services, each a process with settings by environment, as `postmeter run` starts them."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import requests

from postmeter.cli.local import vault
from tests.product import PATIENCE, free_port, wait_for

SERVICES = ("query", "tracking", "aggregator", "gateway")
Ports = dict[str, tuple[int, int]]
"""By service: of its API, and of its ops server."""


def ports() -> Ports:
    return {service: (free_port(), free_port()) for service in SERVICES}


def settings(dsn: str, redis_url: str, folder: Path, at: Ports) -> dict[str, str]:
    """What any of them needs, with fresh secrets."""
    secrets = vault.fresh()
    return {
        "POSTMETER_POSTGRES_DSN": dsn,
        "POSTMETER_REDIS_URL": redis_url,
        "POSTMETER_INTERNAL_SECRET": secrets.internal_secret.reveal(),
        "POSTMETER_TOKEN_KEYS": secrets.token_keys.reveal(),
        "POSTMETER_KEY_PEPPER": secrets.key_pepper.reveal(),
        "POSTMETER_SOURCE_KEY": secrets.source_key.reveal(),
        "POSTMETER_PUBLIC_URL": "https://t.shop.example",
        "POSTMETER_PUBLIC_GATEWAY_URL": "https://api.shop.example",
        "POSTMETER_SPOOL_DIR": str(folder / "spool"),
        "POSTMETER_SPOOL_RESERVE": "0",
        "POSTMETER_EXPORT_DIR": str(folder / "exports"),
        "POSTMETER_TRACKING_URL": f"http://127.0.0.1:{at['tracking'][0]}",
        "POSTMETER_QUERY_URL": f"http://127.0.0.1:{at['query'][0]}",
    }


@contextmanager
def running(
    command: Callable[..., list[str]], environ: Callable[[str], dict[str, str]], folder: Path, at: Ports
) -> Iterator[None]:
    """All of them, until they are ready. command: the command line of `postmeter` with such words; environ: a
    service's. What they say is in `folder`."""
    with ExitStack() as stack:
        processes = {}
        for service, (port, ops) in at.items():
            env = environ(service) | {"POSTMETER_PORT": str(port), "POSTMETER_OPS_PORT": str(ops)}
            processes[service] = stack.enter_context(_process(command("run", service), env, folder / f"{service}.txt"))
        for service, process in processes.items():
            ready = partial(_ready, process, folder / f"{service}.txt", at[service][1])
            wait_for(f"{service} to be ready", ready)
        yield


@contextmanager
def _process(command: list[str], env: dict[str, str], output: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with output.open("wb") as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _ready(process: "subprocess.Popen[bytes]", output: Path, ops_port: int) -> bool:
    assert process.poll() is None, output.read_text()
    try:
        return requests.get(f"http://127.0.0.1:{ops_port}/readyz", timeout=60).status_code == 200
    except requests.ConnectionError:
        return False

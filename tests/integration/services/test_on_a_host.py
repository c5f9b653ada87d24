"""What deploy/host/env.sh writes is the environment of services that start (docs/host.md)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from postmeter.cli.setting_names import names
from tests import services
from tests.product import as_installed
from tests.roles import of_service

SCRIPT = Path(__file__).parents[3] / "deploy" / "host" / "env.sh"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / "postmeter"
    folder.mkdir()
    subprocess.run([SCRIPT, folder], check=True, capture_output=True)
    return folder


def named(folder: Path, *files: str) -> dict[str, str]:
    """What a shell that reads these files passes on of ours."""
    command = [
        "sh",
        "-c",
        'set -a; for file; do . "$file"; done; env -0',
        "sh",
        *(str(folder / file) for file in files),
    ]
    told = subprocess.run(command, env={"PATH": os.environ["PATH"]}, check=True, capture_output=True, text=True).stdout
    found = dict(one.split("=", 1) for one in told.split("\0") if one)
    return {name: value for name, value in found.items() if name.startswith("POSTMETER_")}


def test_services_start_with_it_and_commands_work(
    written: Path, postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    at = services.ports()
    elsewhere = {
        "POSTMETER_REDIS_URL": redis_url,
        "POSTMETER_TRACKING_URL": f"http://127.0.0.1:{at['tracking'][0]}",
        "POSTMETER_QUERY_URL": f"http://127.0.0.1:{at['query'][0]}",
        "POSTMETER_SPOOL_DIR": str(tmp_path / "spool"),
        "POSTMETER_EXPORT_DIR": str(tmp_path / "exports"),
    }

    def environ(service: str) -> dict[str, str]:
        own = named(written, "common.env", f"{service}.env")
        here = {name: value for name, value in elsewhere.items() if name in own}
        return as_installed() | own | here | {"POSTMETER_POSTGRES_DSN": of_service(postgres_dsn, service)}

    def command(*words: str) -> list[str]:
        return [str(Path(sys.executable).with_name("postmeter")), *words]

    own = as_installed() | named(written, "common.env", "commands.env") | {"POSTMETER_POSTGRES_DSN": postgres_dsn}
    subprocess.run(command("workspace", "create", "shop", "--name", "Shop"), env=own, check=True)
    key = ("key", "create", "--workspace", "shop", "--role", "admin", "--scope", "analytics")
    bearer = subprocess.run(command(*key), env=own, check=True, capture_output=True, text=True).stdout.strip()
    with services.running(command, environ, tmp_path, at):
        url, headers = f"http://127.0.0.1:{at['gateway'][0]}/v1/campaigns", {"Authorization": f"Bearer {bearer}"}
        assert requests.get(url, headers=headers, timeout=60).ok


def test_each_service_gets_settings_of_its_own_and_nothing_else(written: Path) -> None:
    assert (written / "gateway.env").stat().st_mode & 0o077 == 0
    for service in services.SERVICES:
        assert named(written, f"{service}.env").keys() <= names(service)
    assert named(written, "common.env").keys() <= set.union(*map(names, services.SERVICES))
    made = dict(re.findall(r"CREATE ROLE (\w+) LOGIN PASSWORD '(\w+)';", (written / "roles.sql").read_text()))
    for service, role in [("commands", "owner"), *((name, name) for name in services.SERVICES)]:
        dsn = named(written, f"{service}.env")["POSTMETER_POSTGRES_DSN"]
        assert f"//postmeter_{role}:{made[f'postmeter_{role}']}@" in dsn


def test_secrets_are_not_written_anew(written: Path) -> None:
    before = (written / "gateway.env").read_bytes()
    again = subprocess.run([SCRIPT, written], check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "would end all links and keys" in again.stderr
    assert (written / "gateway.env").read_bytes() == before

"""A disk that is full to its last block, for real: no unmarked answer is lost, and everything says what is wrong."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.full_disk import DISK_BYTES

ROOT = Path(__file__).resolve().parents[3]
UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
# Small disks that are there already, where we may not mount one: containers have the first, of 64 MB.
SMALL = (Path("/dev/shm"), Path("/run/lock"), Path("/run"))


def _may_mount(folder: Path) -> bool:
    command = [*UNSHARE, "mount", "-t", "tmpfs", "-o", "size=1m", "postmeter-test", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    except OSError:
        return False


def _small_disk() -> Path | None:
    for disk in SMALL:
        if disk.is_dir() and os.access(disk, os.W_OK) and os.path.ismount(disk):
            free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
            if DISK_BYTES <= free <= 256 << 20:
                return disk
    return None


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("disk")
    command, small = [sys.executable, "-m", "tests.integration.full_disk"], None
    if _may_mount(folder):
        command = [*UNSHARE, *command, str(folder)]
    else:
        small = _small_disk()
        if small is None:
            pytest.skip("a full disk needs the right to mount a tmpfs (root, or user namespaces), or a small /dev/shm")
        folder = Path(tempfile.mkdtemp(prefix="postmeter-disk-", dir=small))
        command += [str(folder), "mounted"]
    try:
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert ran.returncode == 0, ran.stderr[-4000:]
        yield json.loads(ran.stdout)
    finally:
        if small is not None:
            shutil.rmtree(folder)


def test_every_answer_without_a_mark_is_recorded(found: dict[str, Any]) -> None:
    for phase in found["phases"]:
        # Of six visitors each may have had a hit on its way when the service was killed; a marked hit may have arrived.
        assert phase["unmarked"] <= phase["recorded"] <= phase["unmarked"] + phase["marked"] + 6
    assert found["phases"][0]["marked"] == 0, "there was space set aside"
    assert found["phases"][1]["reasons"] == ["spool_failed"]
    assert found["dropped"] == found["phases"][1]["marked"]
    assert found["stopped"] == 0


def test_a_restart_on_the_full_disk_takes_over_what_was_set_aside(found: dict[str, Any]) -> None:
    assert found["reserve_in_use"]
    assert found["folders"] == 1
    assert found["phases"][1]["unmarked"] >= 200


def test_readiness_says_what_is_wrong_and_fails_only_when_hits_cannot_be_kept(found: dict[str, Any]) -> None:
    assert found["before"] == found["after"] == {
        "status": 200, "service": "tracking", "ready": True, "failed": {}, "warnings": {}
    }  # fmt: skip
    assert found["full"]["status"] == 200
    assert "POSTMETER_DISK_LOW" in found["full"]["warnings"]["disk"]
    assert "free some space" in found["full"]["warnings"]["disk"]
    assert found["used_up"]["status"] == 503
    assert "set aside is used up" in found["used_up"]["failed"]["redis_or_spool"]
    assert found["disk_free"] < 1 << 20
    assert found["write"] == 503


def test_a_full_disk_gets_a_few_log_lines_and_no_redis_that_would_end_at_once(found: dict[str, Any]) -> None:
    assert found["phases"][1]["marked"] >= 2000
    assert found["log_lines"] < 100
    assert found["redis_ended"]
    assert "disk" in found["redis_start"]

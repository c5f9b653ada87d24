"""First process of a container: makes its file system from a description, gives up its rights, becomes its command.

Runs as root in fresh mount and process namespaces; what it needs stands in the JSON file that is its only argument.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

READ_ONLY, NO_SUID, NO_DEV, REMOUNT, BIND, RECURSIVE = 1, 2, 4, 32, 4096, 16384
_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2). Raises OSError that names the target."""
    if _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def bind(root: Path, source: str, target: str, *, read_only: bool) -> None:
    """Show `source` as `target` below `root`; a file where it is a file."""
    place = root / target.lstrip("/")
    if Path(source).is_dir():
        place.mkdir(parents=True, exist_ok=True)
    elif not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    mount(source, str(place), flags=BIND)
    if read_only:
        mount(source, str(place), flags=BIND | REMOUNT | READ_ONLY | NO_SUID)


def show_image_again(root: Path, spec: dict[str, Any]) -> None:
    """A clone may lie below `/tmp`, where a manifest has a volume: what an image really has never does."""
    for folder in map(Path, spec["image"]):
        if any(Path(target) in folder.parents for _, target, _ in spec["volumes"]):
            bind(root, str(folder), str(folder), read_only=True)


def build(spec: dict[str, Any]) -> None:
    """The root file system: a memory disk with the image's folders and the pod's volumes in it."""
    root = Path(spec["root"])
    mount("root", str(root), "tmpfs", data="mode=755")
    for name in ("tmp", "run", "var/tmp", "home", "proc", "dev/shm"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path(f"/{name}").is_symlink():
            (root / name).symlink_to(os.readlink(f"/{name}"))
    for folder in spec["image"]:
        bind(root, folder, folder, read_only=True)
    for name, target in spec["links"].items():
        (root / name.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (root / name.lstrip("/")).symlink_to(target)
    for device in ("null", "zero", "random", "urandom"):
        bind(root, f"/dev/{device}", f"/dev/{device}", read_only=False)
    for source, target, read_only in spec["volumes"]:
        bind(root, source, target, read_only=read_only)
    show_image_again(root, spec)
    mount("proc", str(root / "proc"), "proc", NO_SUID | NO_DEV)
    mount("shm", str(root / "dev/shm"), "tmpfs", NO_SUID | NO_DEV, "mode=1777,size=64m")
    if spec["read_only"]:
        mount("root", str(root), flags=BIND | REMOUNT | READ_ONLY)
    os.chroot(root)


def main() -> None:
    """See the module."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    if spec["cgroup"]:
        Path(spec["cgroup"], "cgroup.procs").write_text("0")
    elif spec["memory"]:
        resource.setrlimit(resource.RLIMIT_DATA, (spec["memory"], spec["memory"]))
    os.umask(0o022)
    build(spec)
    os.chdir(spec["folder"])
    # A change of the user takes away the signal that ends it with its parent.
    command = ["setpriv", "--pdeathsig", "KILL", *spec["rights"], *spec["command"]]
    os.execve("/usr/bin/setpriv", command, spec["environment"])


if __name__ == "__main__":
    main()

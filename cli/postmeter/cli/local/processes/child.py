"""A launcher: run as a script, it prepares the process and then becomes the command.

    python -I -S child.py PARENT SIGNAL USER COMMAND...

PARENT is the process id whose death sends SIGNAL to the command, USER is `-` or `uid:gid[:search]`.
It is a program of its own, not a `preexec_fn`, because code between fork and exec may deadlock when
the parent has threads. Only the standard library is imported, so that it starts in a few milliseconds.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_SECBIT_NO_SETUID_FIXUP = 4
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAP_FOWNER = 3
_CAP_NET_BIND_SERVICE = 10
_LAST_CAPABILITY = 63
KEPT_BY_ROOT = (_CAP_DAC_OVERRIDE, _CAP_FOWNER, _CAP_NET_BIND_SERVICE)
"""What a service needs that runs as root: files in a data directory that is somebody else's, a port below 1024."""


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    """Call a libc function; raises OSError when it answers other than 0."""
    if getattr(_libc(), name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _permitted_capabilities() -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("CapPrm:"):
                return int(line.split()[1], 16)
    return 0


def search_capability() -> int | None:
    """Return the number of the weakest capability that this process could pass on to enter closed folders."""
    permitted = _permitted_capabilities()
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if permitted >> capability & 1:
            return capability
    return None


def _become(user: str) -> None:
    """Give up root for `uid:gid`; with `:search` keep nothing but the right to enter closed folders.

    Postgres refuses to run as root, but data below a folder such as /root (mode 700) is out of reach of
    any other user. The capability is ambient, so it survives exec; NO_SETUID_FIXUP keeps it over setuid
    and lets access(2), by which Postgres checks its own binary, take it into account.
    """
    uid, gid, *flags = user.split(":")
    capability = search_capability() if flags else None
    if capability is not None:
        _call("prctl", _PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
    if capability is not None:
        mask = 1 << capability
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
        _call("capset", header, sets)
        _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def _give_up(kept: tuple[int, ...]) -> None:
    """Keep only these capabilities, of those that root has; nothing that is run later gets others."""
    mask = sum(1 << capability for capability in kept) & _permitted_capabilities()
    for capability in range(_LAST_CAPABILITY + 1):
        # Those that the kernel does not know answer with an error, as all do for who may drop none.
        if not mask >> capability & 1:
            _libc().prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    low = mask & 0xFFFFFFFF
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(low, low, 0, 0, 0, 0)
    _call("capset", header, sets)


def _die_with(parent: int, number: int) -> None:
    """Ask the kernel for a signal when the parent ends. Set after setuid, which would clear it."""
    if sys.platform == "linux":
        _call("prctl", _PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: list[str]) -> None:
    """Prepare, then become the command. Does not return."""
    parent, number, user, *command = arguments
    # A session of its own: Ctrl-C on the terminal reaches the supervisor only, which stops in order.
    os.setsid()
    if user != "-":
        _become(user)
        os.umask(0o077)
    elif sys.platform == "linux" and os.geteuid() == 0:
        _give_up(KEPT_BY_ROOT)
    if sys.platform == "linux":
        _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _die_with(int(parent), int(number))
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])

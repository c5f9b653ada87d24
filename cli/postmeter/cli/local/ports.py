"""TCP ports on the loopback interface."""

import errno
import random
import socket
from pathlib import Path

from postmeter.cli.local.errors import PortTakenError

HOST = "127.0.0.1"
LOWEST = 10_240


def claim(port: int, option: str) -> int:
    """Return the port if it can be listened on, a free one for 0. Raises PortTakenError naming the option."""
    if port == 0:
        return free_ports(1)[0]
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise PortTakenError(f"port {port} needs root; choose another with {option}") from None
        except OSError as error:
            # By a server, or by a connection that goes out from it: where a port lies in the kernel's range for those.
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
            raise PortTakenError(f"port {port} {reason}; choose another with {option}") from None
    return port


def free_ports(count: int) -> list[int]:
    """Return ports that nobody uses now, all different.

    They lie below the range from which the kernel takes ports for outgoing connections: one of those could
    take a port between our choice and the moment that its service binds it. Raises PortTakenError.
    """
    first = _first_outgoing()
    candidates = range(LOWEST, first) if first > LOWEST + 1000 else range(LOWEST, 65536)
    found: list[int] = []
    for port in random.sample(candidates, k=1000):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise PortTakenError("there are hardly any free ports on this machine")


def _first_outgoing() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32768

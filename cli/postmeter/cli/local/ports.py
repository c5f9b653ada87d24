"""TCP ports on the loopback interface."""

import socket

from postmeter.cli.local.errors import PortTakenError

HOST = "127.0.0.1"


def claim(port: int, option: str) -> int:
    """Return the port if nobody listens on it, a free one for 0. Raises PortTakenError naming the option."""
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
            raise PortTakenError(
                f"port {port} is taken by another program ({error.strerror}); choose another with {option}"
            ) from None
    return port


def free_ports(count: int) -> list[int]:
    """Return ports that nobody uses now, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()

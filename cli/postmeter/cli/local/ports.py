"""TCP ports on the loopback interface, held from the moment that they are chosen."""

import errno
import socket

from postmeter.cli.local.errors import PortTakenError

HOST = "127.0.0.1"


class HeldPorts:
    """Ports that nobody else is given while this object lives, whether the service on them runs or not.

    Each is bound by a socket that never listens: the kernel then gives it to nobody who asks for any port, nor to a
    connection that goes out. A service may listen on it all the same, and again after it has died, for both sockets
    have SO_REUSEADDR; connections are refused while it does not. What is not kept out is a program that asks for just
    this port, with SO_REUSEADDR, at a moment when the service does not listen.
    """

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def claim(self, port: int, option: str) -> int:
        """Hold the port if it can be listened on, any free one for 0. Raises PortTakenError naming the option."""
        if port == 0:
            return self.free()
        holder = socket.socket()
        # As servers do: a port whose last connections are still in TIME_WAIT is free.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind((HOST, port))
        except PermissionError:
            holder.close()
            raise PortTakenError(f"port {port} needs root; choose another with {option}") from None
        except OSError as error:
            holder.close()
            # By a server, or by a connection that goes out from it: where a port lies in the kernel's range for those.
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
            raise PortTakenError(f"port {port} {reason}; choose another with {option}") from None
        self._sockets.append(holder)
        return port

    def free(self) -> int:
        """Hold a port that nobody used. Raises PortTakenError when there is none."""
        holder = socket.socket()
        try:
            holder.bind((HOST, 0))
        except OSError as error:
            holder.close()
            raise PortTakenError(f"there is no free port on this machine ({error.strerror})") from None
        # After bind: with it before, two holders could be given the same port.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sockets.append(holder)
        return int(holder.getsockname()[1])

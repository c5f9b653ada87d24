"""What can go wrong in local mode, each with a message that says what to do."""

from postmeter.shared.errors import PostmeterError


class LocalError(PostmeterError):
    """Base of every local-mode error. Its text is shown to the user as it is, without a traceback."""


class MissingBinaryError(LocalError):
    """A server's binary was found neither by environment, nor in a wheel, nor on PATH."""


class DataDirectoryError(LocalError):
    """The data directory cannot be used: in use, not writable, or written by another version."""


class PortTakenError(LocalError):
    """Another program listens on a port that was asked for."""


class StartError(LocalError):
    """A process ended, or did not answer in time, while it was being started."""

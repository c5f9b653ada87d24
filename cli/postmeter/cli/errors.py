"""What commands refuse; local mode's own errors are in local/errors.py."""

from postmeter.shared.errors import PostmeterError


class CommandError(PostmeterError):
    """What a command was asked for is not possible. The message says why; it is shown as one line."""

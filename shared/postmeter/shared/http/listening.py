"""Errors of a port that cannot be listened on, with the settings that name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from postmeter.shared.errors import SettingsError


@contextmanager
def named_errors(host: str, port: int, variable: str = "POSTMETER_PORT") -> Iterator[None]:
    """Raise the OSError of a taken port or an unknown host as a SettingsError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(f"cannot listen on {host} port {port} (POSTMETER_HOST, {variable}): {reason}") from error

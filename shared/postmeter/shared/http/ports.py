"""What a service's ports have in common: how long clients may take, and the error of a port that cannot be opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from postmeter.shared.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time limits in seconds. Each runs once and does not start again because some bytes have come.

    header: for a request's head, from its first byte; for a connection's first request, from the connection's start.
    body: for a request's body, from the end of its head. idle: from an answer to the next request's first byte.
    """

    header: float = 10.0
    body: float = 20.0
    idle: float = 75.0


@contextmanager
def named_errors(host: str, port: int, variable: str = "POSTMETER_PORT") -> Iterator[None]:
    """Raise the OSError of a taken port or an unknown host as a SettingsError that names the settings."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(f"cannot listen on {host} port {port} (POSTMETER_HOST, {variable}): {reason}") from error

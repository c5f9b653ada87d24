"""How long clients may take; what a service's ports have in common."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds, each counted once and never anew because some bytes have come.

    header: for a request's head, from its first byte; of a connection's first request, from its beginning. body: for
    a request's body, from the end of its head. idle: between an answer and the next request's first byte.
    """

    header: float = 10.0
    body: float = 20.0
    idle: float = 75.0

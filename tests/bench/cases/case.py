"""One request of the benchmark, and how its answer is checked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.bench.raw import Raw

Answer = Any
Comparable = Any
FromRaw = Callable[[Raw, Answer], Awaitable[Comparable]]


@dataclass(frozen=True)
class Case:
    """One request to the endpoint with this method and path in the table. `read` takes from an answer what `raw`
    computes; without `raw`, `why` says why there is nothing to compare. dashboard: the target holds for it.
    """

    name: str
    endpoint: tuple[str, str]
    path: str
    body: dict[str, Any] | None = None
    read: Callable[[Answer], Comparable] | None = None
    raw: FromRaw | None = None
    why: str = ""
    dashboard: bool = True

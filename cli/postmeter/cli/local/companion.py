"""What runs beside the product in one data directory, such as the demo."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from postmeter.cli.local.database import Workspace
from postmeter.cli.local.processes.process import Process


@dataclass(frozen=True)
class Companion:
    """name: of its process. workspace: the one that it works on; ready.json is of that one then.

    prepare: makes what it needs in the data directory, before the services start, and returns what these need in their
    environment. start: starts its process, once ready.json is there; it is stopped before all others.
    """

    name: str
    workspace: Workspace
    prepare: Callable[[Path], Mapping[str, str]]
    start: Callable[[Path], Process]

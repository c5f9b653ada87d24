"""How far the demo of a data directory is: kept in DIR/demo/progress.json, so that nothing is filled twice."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import msgspec

from postmeter.cli.demo.model.calendar import DAYS
from postmeter.cli.demo.model.moments import date_of
from postmeter.cli.local.errors import DataDirectoryError
from postmeter.cli.local.folders import make_folder, write_private

FOLDER = "demo"
_FILE = "progress.json"
SEED = 1


class Progress(msgspec.Struct):
    """first: the history's first day. until: up to which moment things have happened. days: those of the history that
    are still to be filled, the next one last. people: how many are on the lists when the history ends."""

    first: date
    until: int
    days: list[int]
    people: int
    seed: int = SEED

    @classmethod
    def begun(cls, now: int, people: int) -> Progress:
        """That of a demo which begins now."""
        return cls(first=date_of(now) - timedelta(days=DAYS - 1), until=now, days=list(range(DAYS)), people=people)


def load(data: Path) -> Progress | None:
    """The progress of a data directory; None where no demo was begun. Raises DataDirectoryError."""
    path = data / FOLDER / _FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Progress)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise DataDirectoryError(f"{path} cannot be read ({error}); a demo begins in another --data DIR") from None


def save(data: Path, progress: Progress) -> None:
    """Keep it. Raises DataDirectoryError."""
    make_folder(data / FOLDER, 0o700)
    write_private(data / FOLDER / _FILE, msgspec.json.encode(progress))

"""A database as a version of before left it."""

import pytest

from postmeter.shared.storage import migrate, rights
from postmeter.shared.storage.postgres import Connection


async def migrate_up_to(dsn: str, bound: str) -> None:
    """Apply the migrations whose names are below `bound`, to a database that is empty."""
    every = migrate.files()
    with pytest.MonkeyPatch.context() as of_before:
        of_before.setattr(migrate, "files", lambda: [file for file in every if file[0] < bound])
        of_before.setattr(rights, "give", _to_nobody)
        await migrate.migrate(dsn)


async def first_steps(dsn: str) -> None:
    """Apply all migrations but those of second steps, as if each version had left its own for later."""
    every = migrate.files()
    with pytest.MonkeyPatch.context() as with_services:
        with_services.setattr(migrate, "files", lambda: [file for file in every if not file[0].endswith(migrate.AFTER)])
        await migrate.migrate(dsn, after=False)


async def _to_nobody(_: Connection, *, take: bool) -> None:
    """The schema of before lacks what roles of now have rights to."""

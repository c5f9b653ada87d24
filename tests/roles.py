"""Services under test work as the roles that they have in production: what they may not do fails here, too."""

import asyncpg

from postmeter.shared.storage import rights


async def make_roles(dsn: str) -> None:
    """The services' roles, of the whole server; several test runs may make them at once."""
    connection = await asyncpg.connect(dsn)
    try:
        for service in rights.RIGHTS:
            await connection.execute(
                f"DO $$ BEGIN CREATE ROLE {rights.role(service)};"
                " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            )
    finally:
        await connection.close()


def of_service(dsn: str, service: str) -> str:
    """The DSN whose sessions have the service's role."""
    return f"{dsn}{'&' if '?' in dsn else '?'}role={rights.role(service)}"

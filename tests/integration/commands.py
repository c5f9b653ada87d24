"""Postmeter's commands in a workspace's database, and what they leave there."""

import asyncio

import asyncpg
from click.testing import CliRunner, Result

from postmeter.cli.main import main

PEPPER = "pepper-of-this-test"


class Commands:
    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def __call__(self, *arguments: str) -> Result:
        environ = {"POSTMETER_POSTGRES_DSN": self.dsn, "POSTMETER_KEY_PEPPER": PEPPER}
        return CliRunner().invoke(main, arguments, env=environ)

    def rows(self, statement: str) -> list[asyncpg.Record]:
        async def fetched() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.dsn)
            try:
                return await connection.fetch(statement)
            finally:
                await connection.close()

        return asyncio.run(fetched())

"""The tables as they are now, with what the migrations say of them: docs/schema.sql.

`./.venv/bin/python -m tests.schema` writes it anew after a migration; `test_migrations.py` compares.
"""

import asyncio
import re
import tempfile
from collections import defaultdict
from pathlib import Path

import asyncpg

from postmeter.cli.local.servers.binaries import find_postgres
from postmeter.cli.local.servers.postgres_server import PostgresServer
from postmeter.shared.storage import migrate
from postmeter.shared.storage.postgres import Connection

FILE = Path(__file__).parents[1] / "docs/schema.sql"
HEADER = """\
-- The tables as they are after all migrations, with what these say of them; (0005) names the migration that said it.
-- Written by `python -m tests.schema`, held against the migrations by a test. Partitions are left out. Of triggers,
-- views and functions there is what they are called by; what they do stands in the migrations.
"""

_RELATIONS = """
SELECT c.oid, c.relname AS name, c.relkind = 'v' AS is_view, pg_get_partkeydef(c.oid) AS partitioned,
    array_to_string(c.reloptions, ', ') AS options
FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v')
    AND NOT c.relispartition
"""
_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod)
    || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
    || CASE WHEN a.attidentity <> '' THEN ' GENERATED ALWAYS AS IDENTITY'
        WHEN a.attgenerated <> '' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ') STORED'
        ELSE coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') END AS type,
    col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_CONSTRAINTS = """
SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conrelid = $1 AND contype IN ('p', 'u', 'f', 'c')
ORDER BY contype <> 'p', contype, conname
"""
_INDEXES = """
SELECT pg_get_indexdef(x.indexrelid) AS text FROM pg_index x
WHERE x.indrelid = $1 AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = x.indexrelid) ORDER BY 1
"""
_TRIGGERS = "SELECT pg_get_triggerdef(oid) AS text FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal ORDER BY 1"
_FUNCTIONS = """
SELECT proname AS name, pg_get_function_identity_arguments(oid) AS arguments, pg_get_function_result(oid) AS result
FROM pg_proc WHERE pronamespace = current_schema()::regnamespace ORDER BY 1
"""
_STATEMENT = re.compile(
    r"(?:CREATE TABLE|ALTER TABLE|CREATE VIEW|CREATE FUNCTION|COMMENT ON TABLE)(?: IF NOT EXISTS)? (\w+)"
)
_INDEX_ON = re.compile(r"CREATE (?:UNIQUE )?INDEX (?:IF NOT EXISTS )?(\w+) ON (\w+)")


async def rendered(connection: Connection) -> str:
    """What the file says of the schema that the connection leads to."""
    said = _said(
        {row["relname"] for row in await connection.fetch("SELECT relname FROM pg_class WHERE relkind IN ('i', 'I')")}
    )
    places = {name: place for place, name in enumerate(said)}
    relations = await connection.fetch(_RELATIONS)
    parts = [HEADER]
    alike: dict[str, str] = {}
    for row in sorted(relations, key=lambda row: (row["is_view"], places.get(row["name"], -1), row["name"])):
        comment = "".join(f"{line}\n" for line in said.get(row["name"], ()))
        parts.append(comment + await _relation(connection, row, alike))
    for row in await connection.fetch(_FUNCTIONS):
        comment = "".join(f"{line}\n" for line in said.get(row["name"], ()))
        parts.append(f"{comment}FUNCTION {row['name']}({row['arguments']}) RETURNS {row['result']};\n")
    text = "\n".join(parts).replace("timestamp with time zone", "timestamptz").replace("integer", "int")
    return re.sub(r"('[^'\n]*')::(?:text(?:\[\])?|timestamptz|jsonb)\b", r"\1", text)


async def _relation(connection: Connection, row: asyncpg.Record, alike: dict[str, str]) -> str:
    """One table with its indexes and triggers, or a view's columns. alike: the first table that has such columns."""
    columns = await connection.fetch(_COLUMNS, row["oid"])
    if row["is_view"]:
        return f"VIEW {row['name']} ({', '.join(column['name'] for column in columns)});\n"
    lines = [f"{column['name']} {column['type']}" for column in columns]
    lines += [found["text"] for found in await connection.fetch(_CONSTRAINTS, row["oid"])]
    ends = f" PARTITION BY {row['partitioned']}" if row["partitioned"] else ""
    ends += f" WITH ({row['options']})" if row["options"] else ""
    comments = "".join(f"-- {column['name']}: {column['comment']}\n" for column in columns if column["comment"])
    body = "\n    " + ",\n    ".join(lines) + "\n"
    first = alike.setdefault(body, row["name"])
    text = f"{comments}CREATE TABLE {row['name']} ({body if first == row['name'] else 'LIKE ' + first}){ends};\n"
    for found in await connection.fetch(_INDEXES, row["oid"]):
        text += re.sub(r"\bpublic\.| USING btree|\bONLY ", "", found["text"]) + ";\n"
    for found in await connection.fetch(_TRIGGERS, row["oid"]):
        text += re.sub(r"\bpublic\.| REFERENCING \w+ TABLE AS \w+| FOR EACH \w+", "", found["text"]) + ";\n"
    return text


def _said(indexes: set[str]) -> dict[str, list[str]]:
    """By table, view or function, in the order in which they are made: the comments of statements about it, and about
    those of its indexes that are still there, where they are named.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for name, sql in migrate.files():
        mark = "" if name.startswith("0001") else f"({name[:4]}) "
        for block in re.split(r"\n\s*\n", sql):
            comment: list[str] = []
            for line in block.split("\n"):
                if line.startswith("-- "):
                    comment.append(line.removeprefix("-- "))
                elif named := _STATEMENT.match(line):
                    _say(found[named[1]], comment, mark)
                    comment = [] if line.startswith("CREATE TABLE") else comment
                elif indexed := _INDEX_ON.match(line):
                    _say(found[indexed[2]], comment if indexed[1] in indexes else [], mark)
                    comment = []
    return found


def _say(lines: list[str], comment: list[str], mark: str) -> None:
    told = [f"-- {mark if place == 0 else ''}{line}" for place, line in enumerate(comment)]
    if told and told[0] not in lines:
        lines += told


async def _write(dsn: str) -> None:
    await migrate.migrate(dsn)
    connection = await asyncpg.connect(dsn)
    FILE.write_text(await rendered(connection))
    await connection.close()


def main() -> None:
    """Write the file, by a Postgres of its own."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o711)
        server = PostgresServer(
            binaries=find_postgres(),
            data=place / "postgres",
            sockets=place,
            log=place / "postgres.log",
            password="of no use to anybody",
            settings={"fsync": "off"},
        )
        server.start()
        try:
            asyncio.run(_write(server.dsn()))
        finally:
            server.stop()


if __name__ == "__main__":
    main()

"""Postgres: connections, the schema and its migrations, rights, rollups declared as data."""

"""Optail's SQL."""

from postmeter.shared.storage.sql import Queries

QUERIES = Queries("postmeter.query.documents.optail", "optail.sql")

"""D2's SQL."""

from postmeter.shared.sql import Queries

QUERIES = Queries("postmeter.query.documents.optail", "optail.sql")

"""The statements of an erasure."""

from __future__ import annotations

from postmeter.shared.storage.sql import Queries

QUERIES = Queries("postmeter.aggregator.upkeep.erasure", "erasure.sql")

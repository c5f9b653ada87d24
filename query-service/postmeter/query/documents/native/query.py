"""`POST /v1/query`: any metric by any dimension, the superset of the documents (docs/api/query.md)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiohttp import web

from postmeter.query.documents.native import filters, paging
from postmeter.query.documents.native.filters import Filters
from postmeter.query.engine.buckets import ceil_quarter, floor_quarter
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import First, Query, Resolution, Row
from postmeter.query.engine.vocabulary import (
    CONVERSION_METRICS,
    CURRENCY,
    DIMENSIONS,
    INBOUND_METRICS,
    OF_ROLLUP,
    REVENUE,
    metrics_of,
)
from postmeter.query.requests import times
from postmeter.query.requests.cursor import Cursors, Position
from postmeter.query.requests.handler import Asked, Clock
from postmeter.shared.apis.queries.query import QueryAnswer, QueryBody, QueryUnderstood
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answers import json
from postmeter.shared.http.fields import check_names, invalid
from postmeter.shared.storage.rollups import ACTIVITY, CONVERSIONS, METRICS, Rollup
from postmeter.shared.text.stamps import stamp

DEFAULT_DAYS = 30
MAX_LIMIT = 10_000
DOMAIN = "domain"


_decoder = msgspec.json.Decoder(QueryBody)


class NativeQuery:
    """Answers POST /v1/query."""

    def __init__(self, engine: Engine, cursors: Cursors, clock: Clock) -> None:
        self._engine = engine
        self._cursors = cursors
        self._clock = clock

    async def handle(self, asked: Asked) -> web.Response:
        """One page of rows, the query as understood, and the next page's cursor or null."""
        body = json_bodies.decode(_decoder, await asked.read())
        if not 1 <= body.limit <= MAX_LIMIT:
            raise invalid("limit", f"takes 1 to {MAX_LIMIT}")
        wanted = filters.read(body.filters)
        identity = _identity(body, wanted)
        position = self._cursors.read(body.cursor, asked.scope, identity) if body.cursor is not None else None
        query = self._query(asked, body, wanted, position)
        order = paging.order(body.order_by, query)
        first = None
        if query.dimensions and query.resolution is Resolution.TOTAL and position is None:
            first = First(tuple((term.name, term.descending) for term in order), body.limit + 1)
        rows = paging.arrange(await self._engine.rows(query, first), order)
        page, last = paging.cut(rows, order, position.last if position else None, body.limit)
        cursor = None
        if last is not None:
            place = Position(int(query.start.timestamp()), int(query.end.timestamp()), last)
            cursor = self._cursors.write(place, asked.scope, identity)
        return json(QueryAnswer(_objects(query, page), _understood(query, body, order), cursor))

    def _query(self, asked: Asked, body: QueryBody, wanted: Filters, position: Position | None) -> Query:
        zone = times.zone(body.timezone, "timezone")
        start, end = self._range(body, position, zone)
        if body.resolution not in list(Resolution):
            raise invalid("resolution", f"takes {', '.join(Resolution)}")
        if not body.metrics:
            raise invalid("metrics", "needs at least one metric")
        check_names("metrics", body.metrics, tuple(METRICS))
        check_names("dimensions", body.dimensions, tuple(DIMENSIONS))
        rollup = _rollup(body.metrics, {*body.dimensions, *wanted})
        if REVENUE in body.metrics and CURRENCY not in body.dimensions and len(wanted.get(CURRENCY, ())) != 1:
            raise invalid("dimensions", "revenue of several currencies has no sum: add currency, or filter by one")
        return Query(
            scope=asked.scope,
            metrics=tuple(body.metrics),
            start=start,
            end=end,
            dimensions=tuple(body.dimensions),
            filters=wanted,
            zone=zone,
            resolution=Resolution(body.resolution),
            rollup=rollup,
        )

    def _range(self, body: QueryBody, position: Position | None, zone: Any) -> tuple[datetime, datetime]:
        if position is not None:
            return datetime.fromtimestamp(position.start, UTC), datetime.fromtimestamp(position.end, UTC)
        now = self._clock()
        end = now if body.end is None else times.instant(body.end, "to", zone, last=True)
        start = min(end, now) - timedelta(days=DEFAULT_DAYS)
        if body.start is not None:
            start = times.instant(body.start, "from", zone, last=False)
            if body.end is None and start > now:
                raise invalid("from", "lies in the future, and without `to` a range ends now")
        # Without `to` up to the quarter-hour's end: in it the answer is kept, and so must be the same all along.
        until = ceil_quarter(end) if body.end is None else end
        times.check_range(start, until, "from", "to", ends_a_day=body.end is not None and times.is_date(body.end))
        # Widened outward, and said so in the answer's `query`; an empty range stays empty.
        return floor_quarter(start), floor_quarter(end) if start == end else ceil_quarter(end)


def _rollup(metrics: list[str], named: set[str]) -> Rollup:
    """What counts all of the metrics by all of the dimensions named. Raises FieldRefused if nothing does."""
    special = [(dimension, metrics_of(rollup)) for dimension, rollup in OF_ROLLUP.items() if dimension in named]
    for dimension, counted in special:
        if others := sorted(set(metrics) - counted.keys()):
            raise invalid("metrics", f"{others[0]} is not counted by {dimension}; {' and '.join(counted)} are")
    inbound = [metric for metric in metrics if metric in INBOUND_METRICS]
    if inbound and (others := sorted(named - {DOMAIN})):
        raise invalid("metrics", f"{inbound[0]} is not counted by {others[0]}; inbound mail only has a {DOMAIN}")
    if special:
        return OF_ROLLUP[special[0][0]]
    bought = [metric in CONVERSION_METRICS for metric in metrics]
    if any(bought) and not all(bought):
        raise invalid("metrics", f"{' and '.join(CONVERSION_METRICS)} are asked for in a query of their own")
    return CONVERSIONS if all(bought) else ACTIVITY


def _identity(body: QueryBody, wanted: Filters) -> bytes:
    """What a cursor is bound to: everything that decides the rows and their order."""
    given = (body.metrics, body.dimensions, wanted, body.start, body.end, body.timezone, body.resolution)
    return msgspec.json.encode((*given, body.order_by))


def _objects(query: Query, rows: list[Row]) -> list[dict[str, Any]]:
    names, timed = (*query.dimensions, *query.metrics), query.resolution is not Resolution.TOTAL
    # Many rows have the same moment. Two hours of a night in which the clocks go back differ in their fold alone.
    moments: dict[tuple[datetime, int], str] = {}
    objects = []
    for row in rows:
        found: dict[str, Any] = {}
        if timed:
            moment = row.start, row.start.fold
            if moment not in moments:
                moments[moment] = stamp(row.start)
            found["timestamp"] = moments[moment]
        found.update(zip(names, row.keys + row.values, strict=True))
        objects.append(found)
    return objects


def _understood(query: Query, body: QueryBody, order: list[paging.Term]) -> QueryUnderstood:
    return QueryUnderstood(
        metrics=list(query.metrics),
        dimensions=list(query.dimensions),
        filters={name: list(values) for name, values in query.filters.items()},
        start=stamp(query.start),
        end=stamp(query.end),
        timezone=body.timezone,
        resolution=query.resolution,
        order_by=[str(term) for term in order],
        limit=body.limit,
    )

"""Queries by one dimension, or by link, read the sums of the days that have them (ADR 0063)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from postmeter.query.engine.conditions import Parameters
from postmeter.query.engine.query import Query
from postmeter.query.engine.vocabulary import LINK
from postmeter.shared.storage.rollups import ACTIVITY, LINK_SUMS, LINKS, SUMMED_BY, SUMS, TOTAL, Tier, added
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.query.engine", "sums.sql")


def dimension_of(query: Query) -> str | None:
    """The only dimension that a query groups and filters by, where its sums say the same as the series.

    Of several tags, a message that has more than one counts once where they are filtered by, and in the sum of each.
    """
    named = {*query.dimensions, *query.filters} | ({"domain"} if query.scope.domains is not None else set())
    if query.rollup is not ACTIVITY or len(named) != 1:
        return None
    (name,) = named
    if name not in SUMMED_BY:
        return None
    several = name == "tag" and not query.dimensions and len(set(query.filters[name])) > 1
    return None if several else name


def of_links(query: Query) -> bool:
    """Whether a query is about links alone, whichever series they were clicked in."""
    named = {*query.dimensions, *query.filters}
    return query.rollup is LINKS and named == {LINK} and query.scope.domains is None


class Sums:
    """Writes what is read from sums instead of series. rows: statements of what number the bucket has, keys, counters.

    tiers: the sums by the tier that they are of. chosen: which of their rows, said when something is read, for Postgres
    does not take parameters that no statement names.
    """

    def __init__(self, tiers: dict[str, Tier], keys: list[str], counters: list[str], chosen: Callable[[], str]) -> None:
        self._tiers = tiers
        self._keys = keys
        self._counters = counters
        self._chosen = chosen
        self.rows: list[str] = []

    @classmethod
    def by(cls, dimension: str, query: Query, counters: list[str], parameters: Parameters) -> Sums:
        """Of one dimension. keys: `value` where the query groups by it."""
        given = [query.filters.get(dimension), query.scope.domains]

        def chosen() -> str:
            values = (f" AND value = ANY ({parameters.add(list(one))}::text[])" for one in given if one is not None)
            return f" AND dimension = {1 + SUMMED_BY.index(dimension)}" + "".join(values)

        return cls(SUMS, ["value"] if query.dimensions else [], counters, chosen)

    @classmethod
    def by_link(cls, counters: list[str]) -> Sums:
        """Of links, in the form of a series that is the sum of all."""
        return cls(LINK_SUMS, [f"{TOTAL}::bigint AS series", LINK], counters, str)

    def piece(self, table: str, number: str, start: str, end: str) -> bool:
        """Read a piece of this tier from its sums, as far as there are any; False: it has none at all."""
        if table not in self._tiers:
            return False
        columns = (f"{number} AS bucket", *self._keys, *(f"{added([one])} AS {one}" for one in self._counters))
        self.rows.append(
            _QUERIES["summed_piece"].format(
                columns=", ".join(columns),
                table=self._tiers[table].table,
                start=start,
                end=end,
                chosen=self._chosen(),
            )
        )
        return True

    def moved(self, table: str, places: Mapping[str, str]) -> str:
        """The same of what is moved; returns which days' stretches are still to be read from the tier."""
        if table not in self._tiers:
            return ""
        columns = (*self._keys, *(f"moved.sign * {added([one])} AS {one}" for one in self._counters))
        self.rows.append(
            _QUERIES["summed_moved"].format(
                columns=", ".join(columns),
                days=_QUERIES["summed_days"],
                table=self._tiers[table].table,
                chosen=self._chosen(),
                **places,
            )
        )
        return _QUERIES["changed_days"]

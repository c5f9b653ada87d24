"""Parameters of a statement, and conditions on series."""

from __future__ import annotations

from dataclasses import dataclass, field

from postmeter.query.engine.query import Query
from postmeter.query.engine.vocabulary import DIMENSIONS, OF_ROLLUP
from postmeter.shared.storage.sql import Queries

_QUERIES = Queries("postmeter.query.engine", "engine.sql")


@dataclass
class Parameters:
    """Values in their order; a statement names them by place."""

    values: list[object] = field(default_factory=list)

    def add(self, value: object) -> str:
        """Its place."""
        self.values.append(value)
        return f"${len(self.values)}"


def series(query: Query, parameters: Parameters) -> dict[str, str]:
    """Which series are read at all, by the table of the tier."""
    tiers = query.rollup.tiers
    wanted = [(name, values) for name, values in query.filters.items() if name not in OF_ROLLUP]
    if query.scope.domains is not None:
        wanted.append(("domain", query.scope.domains))
    if wanted:
        conditions = "".join(chosen(name, values, parameters) for name, values in wanted)
        return dict.fromkeys((tier.table for tier in tiers), _QUERIES["some"].format(conditions=conditions))
    whole = all(name in OF_ROLLUP for name in query.dimensions)
    return {tier.table: _QUERIES["total" if whole and tier.has_total else "every"] for tier in tiers}


def chosen(name: str, values: tuple[str, ...], parameters: Parameters) -> str:
    """The condition that the dimension has one of these values."""
    return f" AND {DIMENSIONS[name].chosen.format(values=parameters.add(list(values)))}"

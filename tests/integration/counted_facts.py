"""Any rollup as the aggregator fills it, with tags and links, from facts that a test can count for itself."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from postmeter.shared.storage import rollups
from postmeter.shared.storage.rollups import CONVERSIONS, LINKS, Rollup, Tier

OTHER_LINKS = rollups.OTHER
OWN = {LINKS: ["link"], CONVERSIONS: ["currency"]}
"""Columns that only one rollup's rows have."""


@dataclass(frozen=True)
class Counted:
    """Counters that rose at one moment in one series, and for one link."""

    at: datetime
    campaign: str = ""
    domain: str = "x.example"
    provider: str = ""
    template: str = ""
    tags: frozenset[str] = frozenset()
    link: str = OTHER_LINKS
    currency: str = "EUR"
    counters: dict[str, Any] = field(default_factory=dict)

    @property
    def series(self) -> tuple[str, str, str, str, list[str]]:
        return self.campaign, self.domain, self.provider, self.template, sorted(self.tags)

    def values(self, dimension: str) -> list[str]:
        """Under which values it counts."""
        return sorted(self.tags) or [""] if dimension == "tag" else [getattr(self, dimension)]


def _key(fact: Counted) -> tuple[object, ...]:
    return (*fact.series[:4], *fact.series[4])


def stored(cell: Counter[str], counters: Iterable[str]) -> list[int | None]:
    """The values of a row's counters as they stand in a sparse rollup: null for 0."""
    return [cell[name] or None for name in counters]


def raised(known: str, counters: Iterable[str]) -> str:
    """What an upsert sets: the counters of the row that is there, by its alias, and of the one that comes."""
    return ", ".join(f"{name} = coalesce({known}.{name}, 0) + coalesce(EXCLUDED.{name}, 0)" for name in counters)


def rows_of(tier: Tier, series: int) -> list[int]:
    """The series whose rows of a tier count what happens in this one."""
    return [rollups.TOTAL, series] if tier.has_total else [series]


def stale(rollup: Rollup) -> Counter[str]:
    """What a row of series TOTAL says in a tier that has none any more: it is not kept up, and nobody may read it."""
    return Counter(dict.fromkeys(rollup.counters, 1000))


async def fill(connection: Any, workspace: int, rollup: Rollup, rows: list[Counted]) -> None:
    """Every fact into every tier of the rollup, and into the workspace's sum, as the aggregator does."""
    series = {
        _key(fact): await connection.fetchval(
            "INSERT INTO series (workspace, campaign, domain, provider, template, tags) VALUES ($1, $2, $3, $4, $5, $6)"
            " ON CONFLICT (workspace, campaign, domain, provider, template, tags, mailbox_provider)"
            " DO UPDATE SET campaign = EXCLUDED.campaign RETURNING id",
            workspace,
            *fact.series,
        )
        for fact in rows
    }
    link_ids = {OTHER_LINKS: 0} | {
        url: await connection.fetchval(
            "INSERT INTO link (workspace, digest, url) VALUES ($1, decode(md5($2), 'hex'), $2) RETURNING id",
            workspace,
            url,
        )
        for url in {fact.link for fact in rows if rollup is LINKS} - {OTHER_LINKS}
    }
    for tier in rollup.tiers:
        cells: dict[tuple[object, ...], Counter[str]] = {}
        for fact in rows:
            bucket = datetime.fromtimestamp(fact.at.timestamp() // tier.seconds * tier.seconds, UTC)
            places: list[tuple[object, ...]] = [(one, bucket) for one in rows_of(tier, series[_key(fact)])]
            if rollup is LINKS:
                places = [(*place, link_ids[fact.link]) for place in places]
            if rollup is CONVERSIONS:
                places = [(*place, fact.currency) for place in places]
            for place in places:
                cells.setdefault(place, Counter()).update(fact.counters)
            if rollup.totals is not None and not tier.has_total:
                cells[rollups.TOTAL, bucket] = stale(rollup)
        columns = ["workspace", "series", "bucket", *OWN.get(rollup, []), *rollup.counters]
        values = ", ".join(f"${i + 1}" for i in range(len(columns)))
        named = rollup.counters
        await connection.executemany(
            f"INSERT INTO {tier.table} ({', '.join(columns)}) VALUES ({values})",
            [
                (workspace, *place, *(stored(cell, named) if rollup.is_sparse else [cell[name] for name in named]))
                for place, cell in cells.items()
            ],
        )

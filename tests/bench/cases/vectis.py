"""Requests of Vectis."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta

from tests.bench.cases.case import Answer, Case, Comparable, FromRaw
from tests.bench.raw import DAY, Raw, moment, picked

PATH, LIVE = "/api/v1/analytics", "/api/v1/tracking/stats"
DOMAIN = "mail1.example"
HOUR = timedelta(hours=1)
COUNTED = ("sent", "received", "bounced", "failed")
ALL = (*COUNTED, "spam", "size_bytes")
TOTALS = ("opens", "unique_opens", "clicks", "unique_clicks", "machine_opens", "machine_clicks")


def cases() -> list[Case]:
    """Both forms of the analytics, and the live totals."""
    one = f"{PATH}?domain_id={uuid.UUID(hashlib.md5(DOMAIN.encode()).hexdigest())}"
    return [
        Case("Vectis 30 days, all domains", ("GET", PATH), PATH + "?period=30d", read=_listed, raw=_domains),
        Case(
            "Vectis 24 hours of a domain, hourly",
            ("GET", PATH),
            one + "&period=24h",
            read=_points,
            raw=_series("hour", HOUR, 24),
        ),
        Case(
            "Vectis 30 days of a domain, daily",
            ("GET", PATH),
            one + "&period=30d&granularity=daily",
            read=_points,
            raw=_series("day", DAY, 30),
        ),
        Case("Vectis live totals", ("GET", LIVE), LIVE, read=lambda answer: picked(answer["data"], TOTALS), raw=_live),
    ]


def _window(unit: timedelta, count: int) -> tuple[datetime, datetime]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    end = epoch + ((datetime.now(UTC) - epoch) // unit + 1) * unit
    return end - count * unit, end


def _listed(answer: Answer) -> Comparable:
    return {row["domain_name"]: picked(row, ALL) for row in answer["data"]["domains"]}


async def _domains(raw: Raw, answer: Answer) -> Comparable:
    return {row[0]: tuple(row[1:]) for row in await raw.rows("domains", *_window(DAY, 30))}


def _points(answer: Answer) -> Comparable:
    found = {moment(row.get("timestamp") or row["date"]): picked(row, COUNTED) for row in answer["data"]["stats"]}
    return {at: counts for at, counts in found.items() if any(counts)}


def _series(unit: str, width: timedelta, count: int) -> FromRaw:
    async def read(raw: Raw, answer: Answer) -> Comparable:
        rows = await raw.rows("domain_series", *_window(width, count), DOMAIN, unit)
        return {row[0]: tuple(row[1:]) for row in rows if any(row[1:])}

    return read


async def _live(raw: Raw, answer: Answer) -> Comparable:
    return tuple((await raw.rows("live"))[0])

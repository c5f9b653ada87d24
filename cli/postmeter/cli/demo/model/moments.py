"""Time as the model has it: whole milliseconds since 1970, days by their number since the history's first."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_EPOCH = date(1970, 1, 1)


def midnight(day: date) -> int:
    """The first moment of a day, UTC."""
    return (day - _EPOCH).days * DAY


def date_of(at: int) -> date:
    """The day, UTC, of a moment."""
    return _EPOCH + timedelta(days=at // DAY)


def stamp(at: int) -> str:
    """A moment as the API takes it."""
    return f"{datetime.fromtimestamp(at / SECOND, UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


@lru_cache(maxsize=4096)
def _offset(zone: str, hour: int) -> int:
    moment = datetime.fromtimestamp(hour * 3600, ZoneInfo(zone))
    away = moment.utcoffset()
    assert away is not None
    return int(away.total_seconds()) * SECOND


def offset(zone: str, at: int) -> int:
    """How far the clocks of a zone are ahead of UTC at a moment."""
    return _offset(zone, at // HOUR)

"""Workspaces: engagement by weekday and time of day, of messages by their sending time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from postmeter.query import rates
from postmeter.query.documents.window import Window
from postmeter.query.documents.workspaces import lookups
from postmeter.query.engine.engine import Engine
from postmeter.query.engine.query import Query, Resolution, Scope
from postmeter.query.requests import times
from postmeter.shared.apis.documents import heatmap as api
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.rollups import SENT, SENT_COUNTERS

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PERIODS = {
    "nighttime": range(0, 6),
    "early_morning": range(6, 9),
    "office_hours": range(9, 17),
    "evening": range(17, 24),
}
"""Periods of the day and their hours, in the order in which they are listed."""
LEAST_SHARE = 100
"""An hour of the week is compared if it holds at least 1 / LEAST_SHARE of the window's mail."""


@dataclass(frozen=True)
class Cell:
    """Messages sent at some time of the week, and of these the ones opened, clicked, replied to: SENT_COUNTERS."""

    mailed: int = 0
    opened: int = 0
    clicked: int = 0
    replied: int = 0

    @classmethod
    def sum(cls, cells: Iterable[Cell]) -> Cell:
        """All of them together."""
        found = list(cells)
        return cls(
            mailed=sum(cell.mailed for cell in found),
            opened=sum(cell.opened for cell in found),
            clicked=sum(cell.clicked for cell in found),
            replied=sum(cell.replied for cell in found),
        )

    @property
    def score(self) -> Decimal:
        """engagement_score, 0 to 100, two decimals."""
        return rates.percent(self._tenths, 10 * self.mailed)

    @property
    def exact_score(self) -> Fraction:
        """engagement_score / 10 of a cell with mail, for comparing."""
        return Fraction(self._tenths, self.mailed)

    @property
    def _tenths(self) -> int:
        return 3 * self.opened + 4 * self.clicked + 3 * self.replied


class HeatmapReport:
    """When mail is best sent. Windows are whole UTC days."""

    def __init__(self, engine: Engine, pool: Pool) -> None:
        self._engine = engine
        self._pool = pool

    async def read(
        self,
        scope: Scope,
        workspace_id: str,
        window: Window,
        zone_name: str | None = None,
        campaign_id: str | None = None,
    ) -> api.Heatmap:
        """All 7 x 4 cells in the zone (default: the workspace's), of the workspace or one of its campaigns.

        Raises FieldRefused for an unknown zone, RequestError 404 CAMPAIGN_NOT_FOUND.
        """
        window = window.whole_days()
        filters: dict[str, tuple[str, ...]] = {}
        if campaign_id is not None:
            filters["campaign"] = ((await lookups.campaign(self._pool, scope, campaign_id)).id,)
        if zone_name is None:
            zone_name = await self._pool.fetchval(lookups.QUERIES["workspace"], scope.workspace, column=1)
        query = Query(
            scope=scope,
            metrics=SENT_COUNTERS,
            start=window.start,
            end=window.end_exclusive,
            filters=filters,
            zone=times.zone(zone_name, "timezone"),
            resolution=Resolution.HOUR,
            rollup=SENT,
        )
        hours: dict[tuple[int, int], list[Cell]] = {}
        for row in await self._engine.rows(query):
            if any(row.values):
                hours.setdefault((row.start.weekday(), row.start.hour), []).append(Cell(*row.values))
        week = {place: Cell.sum(cells) for place, cells in hours.items()}
        return api.Heatmap(
            workspace_id=workspace_id,
            timezone=times.zone_name(zone_name),
            optimal_send_time=_optimal(week),
            heatmap=[_cell(week, day, period) for day in range(7) for period in PERIODS],
            hours=_hours(week),
        )


def _compared(week: dict[tuple[int, int], Cell]) -> set[tuple[int, int]]:
    """The hours that hold enough of the mail."""
    total = sum(cell.mailed for cell in week.values())
    return {place for place, cell in week.items() if cell.mailed and LEAST_SHARE * cell.mailed >= total}


def _optimal(week: dict[tuple[int, int], Cell]) -> api.OptimalSendTime | None:
    """The best hour; of equal ones that with more mail, then the earlier in the week."""
    compared = _compared(week)
    if not compared:
        return None
    day, hour = min(compared, key=lambda place: (-week[place].exact_score, -week[place].mailed, place))
    return api.OptimalSendTime(WEEKDAYS[day], hour, week[day, hour].score)


def _cell(week: dict[tuple[int, int], Cell], day: int, period: str) -> api.HeatmapCell:
    cell = Cell.sum(week.get((day, hour), Cell()) for hour in PERIODS[period])
    return api.HeatmapCell(
        day_of_week=WEEKDAYS[day],
        time_period=period,
        emails_sent=cell.mailed,
        emails_opened=cell.opened,
        open_rate=rates.percent(cell.opened, cell.mailed),
        engagement_score=cell.score,
    )


def _hours(week: dict[tuple[int, int], Cell]) -> list[api.HeatmapHour]:
    compared = _compared(week)
    return [
        api.HeatmapHour(
            day_of_week=WEEKDAYS[day],
            hour=hour,
            emails_sent=cell.mailed,
            emails_opened=cell.opened,
            emails_clicked=cell.clicked,
            emails_replied=cell.replied,
            open_rate=rates.percent(cell.opened, cell.mailed),
            engagement_score=cell.score,
            compared=(day, hour) in compared,
        )
        for (day, hour), cell in sorted(week.items())
        if cell.mailed
    ]

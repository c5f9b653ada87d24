"""Workspaces, engagement by hour of the week: the shapes of its answer."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct


class OptimalSendTime(Struct):
    """The best hour of the week."""

    day_of_week: str
    hour: int
    engagement_score: Decimal


class HeatmapCell(Struct):
    """One weekday and period of the day, by the messages' sending time."""

    day_of_week: str
    time_period: str
    emails_sent: int
    emails_opened: int
    open_rate: Decimal
    engagement_score: Decimal


class HeatmapHour(Struct):
    """One hour of the week in which mail was sent (our addition). compared: whether it can be the best one."""

    day_of_week: str
    hour: int
    emails_sent: int
    emails_opened: int
    emails_clicked: int
    emails_replied: int
    open_rate: Decimal
    engagement_score: Decimal
    compared: bool


class Heatmap(Struct):
    """All 7 x 4 cells, Monday first. optimal_send_time: null where no hour is `compared`. hours: those with mail."""

    workspace_id: str
    timezone: str
    optimal_send_time: OptimalSendTime | None
    heatmap: list[HeatmapCell]
    hours: list[HeatmapHour]


class HeatmapAnswer(Struct):
    """GET .../analytics/engagement-heatmap."""

    success: bool
    data: Heatmap

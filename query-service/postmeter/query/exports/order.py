"""What was ordered: checked when it arrives, kept with the job, read again by whoever works on it."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from postmeter.query.documents import window
from postmeter.query.documents.window import Window
from postmeter.query.engine.query import MAX_ROWS, Scope
from postmeter.query.exports.files import parquet_file
from postmeter.shared.apis.documents.exports import DEFAULT_FORMAT, EXPORT_FORMATS, EXPORT_TYPES, ExportBody
from postmeter.shared.http.fields import invalid

MAX_CAMPAIGNS = 1_000


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order. workspace: its public id. [start, end): the window. domains: those of a domain_admin, else None."""

    type: str
    format: str
    workspace: str
    start: datetime
    end: datetime
    period: str
    campaign_ids: list[str]
    include_time_series: bool
    domains: list[str] | None

    @property
    def window(self) -> Window:
        """The window as the reports take it."""
        return Window(self.start, self.end, self.period)

    @property
    def days(self) -> int:
        """UTC days that the window touches."""
        whole = self.window.whole_days()
        return (whole.end_exclusive - whole.start).days

    def scope(self, workspace: int) -> Scope:
        """What the export may hold: what the key that ordered it may see."""
        return Scope(workspace, None if self.domains is None else tuple(self.domains))


def read(body: ExportBody, workspace: str, scope: Scope, now: datetime) -> Order:
    """The order in a body. Raises FieldRefused, RequestError 400 INVALID_TIME_RANGE.

    campaign_ids: none means all. Whether the campaigns exist turns out when the export is made.
    """
    if body.export_type not in EXPORT_TYPES:
        raise invalid("export_type", f"takes {', '.join(EXPORT_TYPES)}")
    form = DEFAULT_FORMAT if body.format is None else body.format
    campaign_ids = body.campaign_ids or []
    if form not in EXPORT_FORMATS:
        raise invalid("format", f"takes {', '.join(EXPORT_FORMATS)}")
    if form == "parquet" and not parquet_file.is_installed():
        raise invalid("format", parquet_file.MISSING)
    if len(campaign_ids) > MAX_CAMPAIGNS:
        raise invalid("campaign_ids", f"takes {MAX_CAMPAIGNS} campaigns at most; without any the export has all")
    if any("\0" in campaign_id for campaign_id in campaign_ids):
        raise invalid("campaign_ids", "takes no NUL")
    if campaign_ids and body.export_type == "overview":
        raise invalid("campaign_ids", "an overview is of all campaigns; campaign_performance takes some of them")
    chosen = window.read(body.time_range, body.start_date, body.end_date, now, window.BODY)
    if body.export_type == "engagement_heatmap":
        _check_hours(chosen.whole_days())
    return Order(
        type=body.export_type,
        format=form,
        workspace=workspace,
        start=chosen.start,
        end=chosen.end_exclusive,
        period=chosen.period,
        campaign_ids=list(dict.fromkeys(campaign_ids)),
        include_time_series=bool(body.include_time_series),
        domains=None if scope.domains is None else list(scope.domains),
    )


def _check_hours(chosen: Window) -> None:
    """A heatmap is made of its window's hours. Raises RequestError 400 where the report would refuse that many."""
    if (chosen.end_exclusive - chosen.start) > MAX_ROWS * timedelta(hours=1):
        days = MAX_ROWS // 24
        raise window.invalid(f"{window.BODY[1]}: an engagement_heatmap may span {days} days at most", window.BODY[1])

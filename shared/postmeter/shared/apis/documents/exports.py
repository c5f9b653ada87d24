"""Workspaces' exports: shapes and endpoints."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.documents.workspaces import BASE, DOCUMENT, endpoint
from postmeter.shared.apis.endpoint import Caching, Endpoint, Limit, Service, Timestamp, described, one_of

EXPORT_TYPES = ("campaign_performance", "overview", "deliverability", "engagement_heatmap", "messages", "events")
EXPORT_FORMATS = ("csv", "json", "xlsx", "parquet")
DEFAULT_FORMAT = "csv"
EXPORT_PATH = BASE + "/analytics/export"
STATUS_PATH = BASE + "/analytics/exports/{exportId}"
DOWNLOAD_PATH = STATUS_PATH + "/download"
LATEST_PATH = "/v1/exports"
DOWNLOAD_SECONDS = 3600.0
"""A large file takes its time; a link lives no longer by default."""


class ExportBody(Struct, forbid_unknown_fields=True):
    """Body of POST .../analytics/export, and nothing else. Null is as what is not there, but for export_type."""

    export_type: Annotated[str, one_of(*EXPORT_TYPES)]
    format: Annotated[str | None, one_of(*EXPORT_FORMATS)] = DEFAULT_FORMAT
    time_range: Annotated[str | None, one_of("7d", "30d", "90d", "custom")] = None
    campaign_ids: Annotated[list[str] | None, described("Without any: all campaigns.")] = None
    include_time_series: bool | None = False
    start_date: Annotated[str | None, described("First day of a custom range, or its first instant.")] = None
    end_date: Annotated[str | None, described("Last day of a custom range, or its last instant.")] = None


class Export(Struct):
    """An export that was ordered."""

    export_id: str
    status: str
    estimated_completion: Timestamp
    download_url: str | None


class ExportAnswer(Struct):
    """POST .../analytics/export."""

    success: bool
    data: Export


class ExportStatus(Struct):
    """How far an export is. status: processing, completed, expired. progress: percent (ours)."""

    export_id: str
    status: Annotated[str, one_of("processing", "completed", "expired")]
    format: str
    file_size_bytes: int | None
    created_at: Timestamp
    completed_at: Timestamp | None
    download_url: str | None
    expires_at: Timestamp | None
    progress: int


class ExportStatusAnswer(Struct):
    """GET .../analytics/exports/{exportId}."""

    success: bool
    data: ExportStatus


class OrderedExport(ExportStatus):
    """An export among the latest. status: also failed, then `error` says why."""

    status: Annotated[str, one_of("processing", "completed", "expired", "failed")]
    export_type: Annotated[str, one_of(*EXPORT_TYPES)]
    error: str | None


class LatestAnswer(Struct):
    """GET /v1/exports: the 20 latest that hold nothing but what the caller may see, the latest first.

    formats: those that this server makes; parquet is an extra.
    """

    data: list[OrderedExport]
    formats: list[Annotated[str, one_of(*EXPORT_FORMATS)]]


class DownloadParameters(Struct):
    """Query of a download link; all of it is signed."""

    by: Annotated[str, described("Who asked for the link.")]
    expires: str
    signature: str


ENDPOINTS = (
    endpoint(
        "POST",
        "/analytics/export",
        Limit.EXPORT,
        "Order an export",
        body=ExportBody,
        answer=ExportAnswer,
        max_body=64 * 1024,
        caching=Caching.NEVER,  # it orders something
    ),
    endpoint(
        "GET",
        "/analytics/exports/{exportId}",
        Limit.READ,
        "How far an export is, and where to get it",
        answer=ExportStatusAnswer,
        failures=(422,),
        caching=Caching.NEVER,  # what a worker writes, and no version tells
    ),
    Endpoint(
        method="GET",
        path=LATEST_PATH,
        caching=Caching.NEVER,
        document=NATIVE,
        service=Service.QUERY,
        summary="The latest exports, and how far each is",
        scope="analytics",
        limit=Limit.READ,
        answer=LatestAnswer,
    ),
    Endpoint(
        method="GET",
        path=DOWNLOAD_PATH,
        caching=Caching.NEVER,
        document=DOCUMENT,
        service=Service.QUERY,
        summary="An export's file, or a redirect to it; the link in its status is signed and expires",
        parameters=DownloadParameters,
        media="*/*",
        timeout=DOWNLOAD_SECONDS,
        failures=(403, 410),
    ),
)

"""When clicks count as a machine's: endpoints to look at a workspace's thresholds, and to set them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Struct

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Endpoint, Limit, Service, described
from postmeter.shared.storage.thresholds import LEAST, LIMITS

PATH = "/v1/verdicts"
ADMINS = ("super_admin", "admin")


def _threshold(name: str) -> msgspec.Meta:
    least, most = getattr(LEAST, name), getattr(LIMITS, name)
    return described(f"{least} to {most}, or 0: the rule is off.", minimum=0, maximum=most)


class ThresholdChange(Struct, forbid_unknown_fields=True):
    """Body of PUT /v1/verdicts; what is left out stays as it is."""

    burst_clicks: Annotated[int | msgspec.UnsetType, _threshold("burst_clicks")] = msgspec.UNSET
    burst_links: Annotated[int | msgspec.UnsetType, _threshold("burst_links")] = msgspec.UNSET
    burst_milliseconds: Annotated[int | msgspec.UnsetType, _threshold("burst_milliseconds")] = msgspec.UNSET
    all_links: Annotated[int | msgspec.UnsetType, _threshold("all_links")] = msgspec.UNSET
    scan_seconds: Annotated[int | msgspec.UnsetType, _threshold("scan_seconds")] = msgspec.UNSET
    early_seconds: Annotated[int | msgspec.UnsetType, _threshold("early_seconds")] = msgspec.UNSET


class Thresholds(Struct):
    """Thresholds of verdicts on clicks (docs/verdicts.md); 0: the rule is off."""

    burst_clicks: int
    burst_links: int
    burst_milliseconds: int
    all_links: int
    scan_seconds: int
    early_seconds: int


class ThresholdsAnswer(Struct):
    """GET and PUT /v1/verdicts. defaults: of a workspace that has said nothing. least, most: the bounds, beside 0."""

    data: Thresholds
    defaults: Thresholds
    least: Thresholds
    most: Thresholds


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=PATH,
        document=NATIVE,
        service=Service.GATEWAY,
        summary="Thresholds from which clicks count as a machine's",
        scope="analytics",
        limit=Limit.READ,
        answer=ThresholdsAnswer,
    ),
    Endpoint(
        method="PUT",
        path=PATH,
        document=NATIVE,
        service=Service.GATEWAY,
        summary="Set the thresholds from which clicks to come count as a machine's",
        scope="track",
        roles=ADMINS,
        limit=Limit.WRITE,
        max_body=16 * 1024,
        body=ThresholdChange,
        answer=ThresholdsAnswer,
    ),
)

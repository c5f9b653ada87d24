"""`/v1/campaigns`: what campaigns are called, and their status."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Struct

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Caching, Endpoint, Limit, Service, Timestamp, described


class CampaignBody(Struct, forbid_unknown_fields=True):
    """Body of PUT /v1/campaigns/{id}; what is left out stays as it is, empty text removes what was set."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    status: str | msgspec.UnsetType = msgspec.UNSET


class Campaign(Struct):
    """A campaign. status: as last set, else as its sending implies. sent_at: its first sending."""

    id: str
    name: str
    status: str
    sent_at: Timestamp | None
    created_at: Timestamp


class CampaignsParameters(Struct):
    """Query of GET /v1/campaigns."""

    limit: Annotated[str, described("Campaigns of a page.", type="integer", minimum=1, maximum=1000)] = "100"
    cursor: Annotated[str | None, described("next_cursor of the page before.")] = None


class CampaignsAnswer(Struct):
    """GET /v1/campaigns, by id."""

    data: list[Campaign]
    next_cursor: str | None


class CampaignChange(Struct):
    """What was accepted; it shows in reads within two seconds."""

    id: str
    name: str | msgspec.UnsetType = msgspec.UNSET
    status: str | msgspec.UnsetType = msgspec.UNSET


class CampaignChangeAnswer(Struct):
    """PUT /v1/campaigns/{id}."""

    data: CampaignChange


ENDPOINTS = (
    Endpoint(
        method="PUT",
        path="/v1/campaigns/{id}",
        document=NATIVE,
        service=Service.TRACKING,
        summary="Name a campaign, or set its status",
        scope="track",
        roles=("super_admin", "admin", "member"),
        limit=Limit.WRITE,
        max_body=64 * 1024,
        body=Annotated[CampaignBody, msgspec.Meta(extra_json_schema={"minProperties": 1})],
        answer=CampaignChangeAnswer,
    ),
    Endpoint(
        method="GET",
        path="/v1/campaigns",
        document=NATIVE,
        service=Service.QUERY,
        summary="The workspace's campaigns",
        scope="analytics",
        limit=Limit.READ,
        parameters=CampaignsParameters,
        answer=CampaignsAnswer,
        caching=Caching.UNTIL_CHANGED,
    ),
)

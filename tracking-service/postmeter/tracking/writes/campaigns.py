"""`PUT /v1/campaigns/{id}`: names a campaign, or says its status."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

from postmeter.shared.apis.workspace.campaigns import CampaignBody, CampaignChangeAnswer
from postmeter.shared.apis.workspace.campaigns import CampaignChange as Accepted
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answerer import Asked
from postmeter.shared.http.answers import json
from postmeter.shared.http.fields import invalid
from postmeter.shared.stream.records import CampaignChange, encode
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.requests import fields

_decoder = msgspec.json.Decoder(CampaignBody)


class Campaigns:
    """Takes what a principal says of its campaigns."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    async def handle(self, asked: Asked) -> web.Response:
        """PUT /v1/campaigns/{id}: names a campaign, or says its status. Raises FieldRefused, NotStored."""
        # The path as it was sent: aiohttp's own decoding leaves alone what is not UTF-8.
        segment = asked.request.raw_path.partition("?")[0].rpartition("/")[2]
        campaign = fields.label("id", _decoded(segment), 200)
        given = json_bodies.decode(_decoder, await asked.text())
        if given.name is msgspec.UNSET and given.status is msgspec.UNSET:
            raise invalid("name", "say a name, a status, or both")
        change = CampaignChange(
            at=fields.micros(datetime.now(UTC)),
            workspace=asked.principal.workspace,
            campaign=campaign,
            name=None if given.name is msgspec.UNSET else fields.text("name", given.name, 500),
            status=None if given.status is msgspec.UNSET else fields.label("status", given.status, 50),
        )
        await self._committer.append([(None, encode(change))])
        return json(CampaignChangeAnswer(Accepted(campaign, given.name, given.status)))


def _decoded(segment: str) -> str:
    """The path segment, percent-decoded once; what is not UTF-8 is nobody's id (hostile-input.md 16)."""
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise invalid("id", "is not UTF-8") from None

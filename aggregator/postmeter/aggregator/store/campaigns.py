"""Campaigns: their name and status as last given, and when each was first sent."""

from __future__ import annotations

from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold.changes import Sendings
from postmeter.shared.storage.postgres import Connection
from postmeter.shared.storage.rollups import OTHER
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.records import CampaignChange

_QUERIES = Queries("postmeter.aggregator.store", "campaigns.sql")
REMEMBERED = 200_000

Key = tuple[int, str]
"""(workspace, the campaign's id)"""
Part = tuple[int, str, str]
"""(workspace, the campaign's id, a domain)"""
OfSeries = dict[tuple[int, int], tuple[str, str]]
"""By (workspace, series): its campaign and domain."""
Saying = tuple[int, str]
"""(when, what): the latest wins, whatever the order of arrival; of two at once the greater text."""
NOTHING: Saying = (0, "")


async def change(connection: Connection, changes: list[CampaignChange]) -> None:
    """Apply what was said; a campaign that is not known is made. May be repeated, and in any order."""
    said: dict[Key, tuple[Saying, Saying]] = {}
    for one in changes:
        key = (one.workspace, one.campaign)
        name, status = said.get(key, (NOTHING, NOTHING))
        if one.name is not None:
            name = max(name, (one.at, one.name))
        if one.status is not None:
            status = max(status, (one.at, one.status))
        said[key] = name, status
    rows = [(*key, name, named_at, status, at) for key, ((named_at, name), (at, status)) in said.items()]
    if rows:
        await connection.execute(_QUERIES["change_campaigns"], *zip(*rows, strict=True))


class Campaigns:
    """Keeps `campaign.sent_at`, the earliest sending of a campaign's messages, and that of each domain's that is there
    only because a confined key said so (`confined_campaign`).

    A campaign's row is written only when that becomes earlier, so that flushes that count its millionth message
    do not wait for each other. Remembered is only what was read: others have committed it.
    """

    def __init__(self) -> None:
        self._of_series: OfSeries = {}
        self._sent: dict[Key, int] = {}
        self._confined: dict[Part, int | None] = {}

    def forget(self) -> None:
        """Remember nothing."""
        self._of_series, self._sent, self._confined = {}, {}, {}

    async def write(self, connection: Connection, sendings: Sendings) -> None:
        """Bring the campaigns up to date inside the caller's transaction."""
        if not sendings.by_series:
            return
        if len(self._of_series) + len(self._sent) + len(self._confined) > REMEMBERED:
            self.forget()
        of_series = await self._read_series(connection, sendings)
        by_campaign = await self._by_campaign(connection, sendings, of_series)
        await self._write_confined(connection, sendings, of_series)
        earlier = self._earlier(by_campaign)
        if not earlier:
            return
        rows = await connection.fetch(_QUERIES["first_sendings"], *zip(*earlier, strict=True))
        self._sent |= {(row["workspace"], row["id"]): row["sent_at"] for row in rows}
        earlier = self._earlier(earlier)
        if earlier:
            written = [(*key, at) for key, at in earlier.items()]
            await connection.execute(_QUERIES["raise_sendings"], *zip(*written, strict=True))

    def _earlier(self, sent: dict[Key, int]) -> dict[Key, int]:
        """Those earlier than what is remembered."""
        return {key: at for key, at in sent.items() if key not in self._sent or at < self._sent[key]}

    async def _read_series(self, connection: Connection, sendings: Sendings) -> OfSeries:
        """Those of these sendings; what is remembered another flush may forget meanwhile."""
        found = {series: self._of_series[series] for series in sendings.by_series if series in self._of_series}
        missing = sendings.by_series.keys() - found.keys()
        if missing:
            rows = await connection.fetch(_QUERIES["campaigns_of_series"], *zip(*missing, strict=True))
            read = {(row["workspace"], row["id"]): (row["campaign"], row["domain"]) for row in rows}
            self._of_series |= read
            found |= read
        return found

    async def _by_campaign(self, connection: Connection, sendings: Sendings, of_series: OfSeries) -> dict[Key, int]:
        found: dict[Key, int] = {}
        overflowing: list[tuple[int, UUID, int]] = []
        for (workspace, series), sent in sendings.by_series.items():
            campaign, _ = of_series[workspace, series]
            if campaign == OTHER:
                # That series holds messages of any campaign; only they themselves know of which.
                overflowing += [(workspace, UUID(message), at) for at, message in sent]
            elif campaign:
                key, at = (workspace, campaign), min(sent)[0]
                found[key] = min(at, found.get(key, at))
        if overflowing:
            rows = await connection.fetch(_QUERIES["sendings_of_messages"], *zip(*overflowing, strict=True))
            for row in rows:
                key = (row["workspace"], row["campaign"])
                if row["campaign"]:
                    found[key] = min(row["at"], found.get(key, row["at"]))
        return found

    async def _write_confined(self, connection: Connection, sendings: Sendings, of_series: OfSeries) -> None:
        sent: dict[Part, int] = {}
        for (workspace, series), messages in sendings.by_series.items():
            campaign, domain = of_series[workspace, series]
            if campaign and domain:
                part, at = (workspace, campaign, domain), min(messages)[0]
                sent[part] = min(at, sent.get(part, at))
        known = {part: self._confined[part] for part in sent if part in self._confined}
        unread = [part for part in sent if part not in known]
        if unread:
            # What has a series and no row never gets one.
            rows = await connection.fetch(_QUERIES["first_confined_sendings"], *zip(*unread, strict=True))
            read = {(row["workspace"], row["id"], row["domain"]): row["sent_at"] for row in rows}
            fresh = {part: read.get(part) for part in unread}
            self._confined |= fresh
            known |= fresh
        earlier = [part for part, at in sorted(sent.items()) if at < (known[part] or 0)]
        if earlier:
            written = [(*part, sent[part]) for part in earlier]
            await connection.execute(_QUERIES["raise_confined_sendings"], *zip(*written, strict=True))
            for part in earlier:
                self._confined.pop(part, None)  # read again when this is committed

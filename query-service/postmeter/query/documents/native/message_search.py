"""`POST /v1/messages/search`: who opened, clicked, did not, bounced, complained (docs/api/search.md).

Messages are read in the order of their creation, the latest first, and each that is read is looked at: so a page
costs no more than EXAMINED of them, whatever is searched for and however rare it is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web

from postmeter.query.documents.native import filters, stretches
from postmeter.query.documents.native.filters import Filters
from postmeter.query.documents.native.stretches import Place, Selection
from postmeter.query.engine.vocabulary import DIMENSIONS
from postmeter.query.requests import times
from postmeter.query.requests.cursor import Cursors, Position
from postmeter.query.requests.handler import Asked, Clock
from postmeter.shared.apis.queries.search import FoundMessage, SearchAnswer, SearchBody
from postmeter.shared.http import json_bodies
from postmeter.shared.http.answers import json
from postmeter.shared.http.fields import invalid
from postmeter.shared.storage.postgres import Pool
from postmeter.shared.storage.rollups import MESSAGE_DIMENSIONS
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.events import Engagement, State
from postmeter.shared.text import quoting
from postmeter.shared.text.stamps import stamp

QUERIES = Queries("postmeter.query.documents.native", "message_search.sql")
DEFAULT_DAYS = 30
MAX_LIMIT = 1000
SECOND = timedelta(seconds=1)
AHEAD = timedelta(hours=1)
"""How far ahead mail may be dated; without `to` that is found, too."""
EXAMINED = 50_000
"""Messages that are read for one page, at most; beside them as many of the moment in which the page before ended."""
ENGAGED = {
    "opened": (Engagement.OPEN, "IS NOT NULL"),
    "not_opened": (Engagement.OPEN, "IS NULL"),
    "clicked": (Engagement.CLICK, "IS NOT NULL"),
    "not_clicked": (Engagement.CLICK, "IS NULL"),
    "replied": (Engagement.REPLY, "IS NOT NULL"),
    "unsubscribed": (Engagement.UNSUBSCRIBE, "IS NOT NULL"),
}
"""What is asked of a message's first counted engagement of a kind. Machines' do not count."""
STATES = {"bounced": (State.SOFT_BOUNCED, State.HARD_BOUNCED), "complained": (State.COMPLAINED,)}
"""What is asked of its present state."""
STATUS = {state: state.name.lower() for state in State} | dict.fromkeys(STATES["bounced"], "bounced")


_decoder = msgspec.json.Decoder(SearchBody)


class MessageSearch:
    """Answers POST /v1/messages/search."""

    def __init__(self, pool: Pool, cursors: Cursors, clock: Clock) -> None:
        self._pool = pool
        self._cursors = cursors
        self._clock = clock

    async def handle(self, asked: Asked) -> web.Response:
        """One page, and the next page's cursor or null. Raises FieldRefused."""
        body = json_bodies.decode(_decoder, await asked.read())
        if not 1 <= body.limit <= MAX_LIMIT:
            raise invalid("limit", f"takes 1 to {MAX_LIMIT}")
        if body.engagement is not None and body.engagement not in ENGAGED.keys() | STATES.keys():
            known = ", ".join((*ENGAGED, *STATES))
            raise invalid("engagement", f"{quoting.quoted(body.engagement)} is unknown; known are {known}")
        chosen = filters.read(body.filters, MESSAGE_DIMENSIONS)
        identity = msgspec.json.encode((chosen, body.engagement, body.start, body.end))
        start, end, after = self._range(asked, body, identity)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            series = await self._series(connection, asked, chosen)
            wanted = Selection(asked.scope.workspace, series, STATES.get(body.engagement or ""), start, end, after)
            rows, place = await _page(connection, wanted, _condition(body.engagement), body.limit)
        cursor = None
        if place is not None:
            last: list[int | str] = [_micros(start), _micros(end), _micros(place.at), place.id.hex]
            cursor = self._cursors.write(Position(0, 0, last), asked.scope, identity)
        return json(SearchAnswer([_found(row) for row in rows], cursor))

    def _range(self, asked: Asked, body: SearchBody, identity: bytes) -> tuple[datetime, datetime, Place | None]:
        """[start, end) of the creation, the same on every page; and where the page before ended."""
        if body.cursor is not None:
            low, high, at, last = self._cursors.read(body.cursor, asked.scope, identity).last
            return _instant(low), _instant(high), Place(_instant(at), UUID(str(last)))
        # The same all the second long, for which the answer is kept.
        now = self._clock().replace(microsecond=0)
        end = now + SECOND + AHEAD if body.end is None else times.instant(body.end, "to", UTC, last=True)
        start = min(end, now) - timedelta(days=DEFAULT_DAYS)
        if body.start is not None:
            start = times.instant(body.start, "from", UTC, last=False)
            if body.end is None and start > end:
                raise invalid("from", "lies in the future, where no mail is dated yet")
        times.check_range(start, end, "from", "to", ends_a_day=body.end is not None and times.is_date(body.end))
        return start, end, None

    async def _series(self, connection: Any, asked: Asked, chosen: Filters) -> list[int] | None:
        """The series that the filters choose and the key may see; None: all."""
        named = list(chosen.items())
        if asked.scope.domains is not None:
            named.append(("domain", asked.scope.domains))
        if not named:
            return None
        conditions = (
            DIMENSIONS[name].chosen.format(values=f"${place}") for place, (name, _) in enumerate(named, start=2)
        )
        sql = QUERIES["chosen_series"].format(conditions=" AND ".join(conditions))
        found: list[int] = await connection.fetchval(sql, asked.scope.workspace, *(list(values) for _, values in named))
        return found


async def _page(connection: Any, wanted: Selection, condition: str, limit: int) -> tuple[list[Any], Place | None]:
    """The messages of a page, and where it ends if more may follow."""
    found: list[Any] = []
    parts = await stretches.of(connection, wanted)
    share = max(1, EXAMINED // max(1, sum(part.kind == "between" for part in parts)))
    for part in parts:
        sql = QUERIES["walk"].format(stretch=QUERIES[part.kind], condition=condition)
        budget = share if part.kind == "between" else EXAMINED
        rows = await connection.fetch(
            *(sql, wanted.workspace, part.low, part.high, budget, limit + 1 - len(found)),
            *(wanted.series, wanted.states),
        )
        found += [row for row in rows if row["chosen"]]
        if len(found) > limit:
            return found[:limit], _place(found[limit - 1])
        if rows and rows[-1]["place"] == budget:
            return found, _place(rows[-1])
    return found, None


def _condition(engagement: str | None) -> str:
    if engagement not in ENGAGED:
        return "true"
    kind, test = ENGAGED[engagement]
    return f"{QUERIES['first'].format(kind=int(kind))} {test}"


def _place(row: Any) -> Place:
    return Place(row["created_at"], row["id"])


def _found(row: Any) -> FoundMessage:
    return FoundMessage(
        id=str(row["id"]),
        recipient_ref=row["recipient_ref"] or None,
        to_hash=row["to_hash"],
        campaign=row["campaign"] or None,
        subject=row["subject"],
        status=STATUS[State(row["state"])],
        sent_at=_optional(row["sent_at"]),
        first_opened_at=_optional(row["opened"]),
        first_clicked_at=_optional(row["clicked"]),
    )


def _optional(instant: datetime | None) -> str | None:
    return None if instant is None else stamp(instant)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instant(micros: int | str) -> datetime:
    return _EPOCH + int(micros) * _MICROSECOND

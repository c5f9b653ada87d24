"""The preferences page: GET shows it and changes nothing, for scanners fetch every link of a mail; POST chooses."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl

from aiohttp import web
from asyncpg.pgproto.pgproto import UUID

from postmeter.shared.apis.privacy.preferences import PREFERENCES_PATH
from postmeter.shared.errors import TokenRejected
from postmeter.shared.http.answerer import Asked
from postmeter.shared.links.hits import Page
from postmeter.shared.links.tokens import PREFERENCES, KeyRing
from postmeter.shared.privacy.audit import RECIPIENT
from postmeter.shared.privacy.levels import Choice, Choices
from postmeter.shared.process.deadlines import within
from postmeter.shared.storage.postgres import AWAY, Pool
from postmeter.shared.storage.sql import Queries
from postmeter.shared.stream.records import Consent, encode
from postmeter.shared.stream.streams import slot_of
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.metrics import TrackingMetrics
from postmeter.tracking.preferences import page, texts
from postmeter.tracking.preferences.texts import wanted_language
from postmeter.tracking.requests import fields

METHOD = "preferences_page"
LOOK_SECONDS = 1.0
"""How long the page waits for what is chosen already."""
_MAX_FIELDS = 20
_OFFERED = {Choice.GRANTED.text: Choice.GRANTED, Choice.DENIED.text: Choice.DENIED}
_QUERIES = Queries("postmeter.tracking.preferences", "preferences.sql")
Message = tuple[int, bytes]
"""(workspace number, the message's 16 bytes)"""


class Preferences:
    """The handlers of PREFERENCES_PATH. pool: None where this service knows no Postgres."""

    def __init__(
        self,
        keys: KeyRing,
        committer: Committer,
        metrics: TrackingMetrics,
        pool: Pool | None,
    ) -> None:
        self._keys = keys
        self._committer = committer
        self._metrics = metrics
        self._pool = pool

    async def show(self, asked: Asked) -> web.Response:
        """The page, with what is chosen already if Postgres says so at once."""
        message, language = self._message(asked.request), _language(asked.request)
        if message is None:
            return _response(page.broken(language))
        return _response(page.asking(language, await self._now(message)))

    async def choose(self, asked: Asked) -> web.Response:
        """Take the choice of the message's recipient; it is durable when this is answered."""
        message, language = self._message(asked.request), _language(asked.request)
        if message is None:
            return _response(page.broken(language))
        chosen = _chosen(await asked.text())
        now = await self._now(message)
        if chosen == Choices():
            return _response(page.nothing_chosen(language, now))
        consent = _consent(message, chosen, language)
        await self._committer.append([(slot_of(*message), encode(consent))])
        after = Choices(chosen.opens or now.opens, chosen.clicks or now.clicks)
        return _response(page.saved(language, chosen, after))

    def _message(self, request: web.Request) -> Message | None:
        token = request.raw_path.partition("?")[0].removeprefix(PREFERENCES_PATH)
        try:
            return self._keys.verify(token.encode("utf-8", "surrogateescape"), PREFERENCES)
        except TokenRejected as rejected:
            self._metrics.dropped.labels(rejected.reason).inc()
            return None

    async def _now(self, message: Message) -> Choices:
        """What the recipient has chosen; nothing if that cannot be found at once."""
        if self._pool is None:
            return Choices()
        workspace, id_ = message
        try:
            row = await within(LOOK_SECONDS, self._pool.fetchrow(_QUERIES["choice"], workspace, UUID(id_)))
        except AWAY:
            return Choices()
        return Choices() if row is None else Choices(Choice(row["opens"]), Choice(row["clicks"]))


def _chosen(body: bytes) -> Choices:
    """What a form says; of what it does not, UNKNOWN. Where it says both of one thing, that which allows less."""
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), max_num_fields=_MAX_FIELDS)
    except ValueError:  # more fields than the form has
        return Choices()
    said = dict.fromkeys(Choices._fields, Choice.UNKNOWN)
    for name, value in pairs:
        if name in said:
            said[name] = max(said[name], _OFFERED.get(value, Choice.UNKNOWN))
    return Choices(**said)


def _consent(message: Message, chosen: Choices, language: str) -> Consent:
    now = fields.micros(datetime.now(UTC))
    return Consent(
        at=now,
        received=now,
        workspace=message[0],
        to_hash="",
        message=message[1],
        opens=int(chosen.opens) or None,
        clicks=int(chosen.clicks) or None,
        method=METHOD,
        text_version=f"{texts.VERSION}/{language}",
        source="",
        by=RECIPIENT,
    )


def _language(request: web.Request) -> str:
    """As the address says, else as the browser does."""
    asked = request.query.get("lang", "")
    if asked in texts.TEXTS:
        return asked
    return wanted_language(request.headers.get("Accept-Language", ""), texts.TEXTS, texts.DEFAULT)


def _response(answer: Page) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

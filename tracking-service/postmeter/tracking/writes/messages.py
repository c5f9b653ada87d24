"""`POST /v1/messages`: makes messages known and instruments their HTML."""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.apis.mail.events import Rejected
from postmeter.shared.apis.mail.messages import (
    DecidedBy,
    Link,
    MessageAnswer,
    MessageBody,
    MessagesAnswer,
    MessagesBody,
    Registered,
    TrackedAt,
    Unsubscribe,
    Untracked,
)
from postmeter.shared.apis.mail.unsubscribe import FIELD, VALUE
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError, Unavailable
from postmeter.shared.http import failures, json_bodies
from postmeter.shared.http.answerer import Asked
from postmeter.shared.http.answers import json
from postmeter.shared.http.concurrency import ConcurrencyLimiter
from postmeter.shared.http.fields import invalid
from postmeter.shared.privacy.anonymous_sources import source_of
from postmeter.shared.privacy.levels import Decided, Level, Levels
from postmeter.shared.storage import uuid7
from postmeter.shared.stream.records import Registration, encode
from postmeter.shared.stream.streams import slot_of
from postmeter.tracking.durable.batch import Keyed
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.html.instrumentation import Instrument
from postmeter.tracking.html.scanner import MAX_LINKS, MAX_PIECES, TooManyLinks, TooMuchMarkup
from postmeter.tracking.metrics import TrackingMetrics
from postmeter.tracking.recipients.mailboxes import Mailboxes
from postmeter.tracking.requests import fields
from postmeter.tracking.requests.lists import OneOrMany, rejected
from postmeter.tracking.writes import message_body
from postmeter.tracking.writes.levels import LevelCeilings, MessageLevels

MAX_MESSAGES = 1000
MAX_COMMAS = 100 * MAX_MESSAGES
"""Between values. So many messages have fewer, though each has all fields and labels."""
MAX_HTML = 5 << 20
"""Characters of one mail."""
MAX_ANSWER = 32 << 20
"""Bytes of all mails and links in one answer."""
# Longer HTML is instrumented in a thread: hits must not wait for it.
SHORT_HTML = 4096
TURN_SECONDS = 20.0
"""How long after its request has come a mail may wait for its turn there. The gateway waits for half as long again."""


_one_or_many = OneOrMany(MessagesBody, "messages")


class Messages:
    """Registers messages for a principal."""

    def __init__(
        self,
        instrument: Instrument,
        committer: Committer,
        metrics: TrackingMetrics,
        mailboxes: Mailboxes,
        levels: MessageLevels,
    ) -> None:
        self._mailboxes = mailboxes
        self._levels = levels
        self._instrument = instrument
        self._committer = committer
        self._metrics = metrics
        # One for all: two would only take turns, and take them from the event loop as well. Each workspace has one mail
        # there at a time, so that the mails of one wait behind each other, and those of others do not.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="instrument")
        self._turns = ConcurrencyLimiter(1, 1, seconds=TURN_SECONDS)

    async def handle(self, asked: Asked) -> web.Response:
        """POST /v1/messages: registers one message or a list."""
        status, answer = await self._register(asked.principal, await asked.text(), asked.endpoint)
        return json(answer, status)

    async def _register(self, principal: Principal, body: bytes, endpoint: Endpoint) -> tuple[int, Any]:
        """Status and JSON of the answer. Raises RequestError or FieldRefused for one message that is wrong.

        A list of which nothing can be accepted is answered with the first item's error, and with all of them.
        """
        json_bodies.refuse_array(body, 'send one message, or {"messages": [...]}')
        if json_bodies.has_more_commas(body, MAX_COMMAS):
            raise _too_many()
        items = _one_or_many.items(body)
        until = asyncio.get_running_loop().time() + TURN_SECONDS
        if items is None:
            allowed = await self._levels.allowed(principal.workspace, partial(message_body.recipient_hashes, [body]))
            answer, record = await self._take(principal, body, allowed, until, MAX_ANSWER)
            await self._commit(principal.workspace, [record])
            return 201, MessageAnswer(msgspec.Raw(answer))
        if len(items) > MAX_MESSAGES:
            raise _too_many()
        allowed = await self._levels.allowed(principal.workspace, partial(message_body.recipient_hashes, items))
        accepted: list[msgspec.Raw] = []
        refused: list[Rejected] = []
        records: list[Registration] = []
        status, room, full = 0, MAX_ANSWER, False
        for index, item in enumerate(items):
            try:
                answer, record = await self._take(principal, item, allowed, until, room, full)
            except failures.ANSWERABLE as error:
                told = failures.answered(error, endpoint)
                full = full or isinstance(error, _Full)
                refused.append(rejected(index, told))
                status = told.status if status in (0, told.status) else 400
            else:
                accepted.append(msgspec.Raw(answer))
                records.append(record)
                room -= len(answer)
            # Opens and clicks must not wait until a thousand mails are done.
            await asyncio.sleep(0)
        if refused and not accepted:
            return status, _one_or_many.refusal(refused)
        await self._commit(principal.workspace, records)
        return 201, MessagesAnswer(accepted, refused)

    async def _commit(self, workspace: int, records: list[Registration]) -> None:
        if records:
            await self._mailboxes.prepare(workspace, (record.to_domain for record in records))
            await self._committer.append([self._keyed(record) for record in records])
            self._metrics.messages.inc(len(records))

    def _keyed(self, record: Registration) -> Keyed:
        named = msgspec.structs.replace(record, mailbox_provider=self._mailboxes.of(record.to_domain))
        return slot_of(record.workspace, record.message), encode(named)

    async def _take(
        self,
        principal: Principal,
        body: bytes | msgspec.Raw,
        allowed: LevelCeilings,
        until: float,
        room: int,
        full: bool = False,
    ) -> tuple[bytes, Registration]:
        """Check and instrument one message: its answer as JSON, of `room` bytes at most, and its record.

        until: when it stops waiting for its turn, by the loop's clock: what a list's mails wait is one wait in all.
        full: a mail before it found no room, so this one's is not even read: hundreds might be, for nothing.
        """
        given = message_body.read(body)
        message = given.id or uuid7.new()
        own = message_body.own_levels(given)
        record = message_body.registration(principal, message.bytes, given)
        decided = allowed.decide(record, own)
        record = msgspec.structs.replace(
            record,
            opens=int(decided.levels.opens),
            clicks=int(decided.levels.clicks),
            tracks_opens=given.track_opens and decided.levels.opens is not Level.OFF,
            tracks_clicks=given.track_clicks and decided.levels.clicks is not Level.OFF,
        )
        html = given.html
        if html is not None and len(html) > MAX_HTML:
            raise _too_large(f"at most {MAX_HTML} characters; this has {len(html)}. Link to images instead")
        if html is not None and (full or len(html) > room):
            raise _over(room)
        if html is None or len(html) <= SHORT_HTML:
            answer, links = self._answer(record, message, given, decided, room)
        else:
            work = partial(self._answer, record, message, given, decided, room)
            async with AsyncExitStack() as held:
                try:
                    async with asyncio.timeout_at(until):
                        await self._turns.take(held, (principal.workspace,))
                except TimeoutError:
                    raise Unavailable("Too many long mails at once; try again in a second.", 1) from None
                answer, links = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        return answer, msgspec.structs.replace(record, links=links)

    def _answer(
        self, record: Registration, message: uuid.UUID, given: MessageBody, decided: Decided, room: int
    ) -> tuple[bytes, int]:
        """What a message is answered with, as JSON, and how many links it has."""
        instrument, html, honeypot_url, workspace = self._instrument, given.html, None, record.workspace
        levels = _shown(decided.levels, record)
        source = source_of(workspace, record.campaign, record.from_domain, confined=record.confined)
        links: list[Link] = []
        untracked: list[Untracked] = []
        if html is not None:
            if fields.HALF_OF_A_PAIR.search(html):
                raise invalid("html", "half surrogate pairs are not text")
            try:
                done = instrument.apply(html, workspace, message.bytes, levels, source=source, honeypot=given.honeypot)
            except TooMuchMarkup:
                words = f"at most {MAX_PIECES} tags, attributes and references. Send the mail in parts"
                raise _too_large(words) from None
            except TooManyLinks:
                raise RequestError(
                    400,
                    "TOO_MANY_LINKS",
                    f"html: at most {MAX_LINKS} links, tracked or not. Send the mail in parts, or register it without"
                    " html and with fewer links",
                    "html",
                ) from None
            html, links, untracked, honeypot_url = done.html, done.links, done.untracked, done.honeypot_url
        opened = source if levels.opens is Level.ANONYMOUS else message.bytes
        open_url = None if levels.opens is Level.OFF else instrument.open_url(workspace, opened, levels.opens)
        offer = _offer(instrument.unsubscribe_url(workspace, message.bytes))
        preferences_url = instrument.preferences_url(workspace, message.bytes)
        tracked = TrackedAt(
            decided.levels.opens.text, decided.levels.clicks.text, DecidedBy(decided.opens_by, decided.clicks_by)
        )
        answer = msgspec.json.encode(
            Registered(message, open_url, links, untracked, honeypot_url, html, offer, tracked, preferences_url)
        )
        if len(answer) > MAX_ANSWER:
            raise _over(room)
        if len(answer) > room:
            raise _over(room, _Full)
        return answer, len(links)


def _shown(levels: Levels, record: Registration) -> Levels:
    """At which levels pixel and links of ours are put into the mail: where others tell of its opens, none is."""
    carries = (record.tracks_opens, record.tracks_clicks)
    return Levels(*(level if ours else Level.OFF for level, ours in zip(levels, carries, strict=True)))


class _Full(RequestError):
    """The list's answer has no room for a message that would fit into one of its own."""


def _too_many() -> RequestError:
    message = f"messages: at most {MAX_MESSAGES} at once, and {MAX_COMMAS} values in all"
    return RequestError(400, "TOO_MANY_ITEMS", message, "messages")


def _over(room: int, kind: type[RequestError] = RequestError) -> RequestError:
    words = f"an answer takes {MAX_ANSWER} bytes at most, and {room} are left for this message. Send fewer at once"
    return _too_large(words, kind)


def _too_large(words: str, kind: type[RequestError] = RequestError) -> RequestError:
    return kind(413, "PAYLOAD_TOO_LARGE", f"html: {words}", "html")


def _offer(url: str) -> Unsubscribe:
    return Unsubscribe(url, {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": f"{FIELD}={VALUE}"})

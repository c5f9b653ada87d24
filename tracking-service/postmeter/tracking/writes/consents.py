"""`PUT /v1/recipients/consent`: takes what recipients have chosen, with what proves it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.apis.mail.events import Rejected
from postmeter.shared.apis.privacy.consent import ConsentBody, ConsentsAnswer, ConsentsBody
from postmeter.shared.auth.principal import Principal
from postmeter.shared.errors import RequestError
from postmeter.shared.http import failures, json_bodies
from postmeter.shared.http.answerer import Asked
from postmeter.shared.http.answers import json
from postmeter.shared.http.fields import invalid
from postmeter.shared.privacy import audit, recipients
from postmeter.shared.privacy.levels import CHOICES
from postmeter.shared.stream.records import Consent, encode
from postmeter.shared.stream.streams import slot_of_name
from postmeter.shared.text.quoting import quoted
from postmeter.tracking.durable.committer import Committer
from postmeter.tracking.requests import fields
from postmeter.tracking.requests.lists import OneOrMany, rejected

MAX_RECIPIENTS = 1000
MAX_COMMAS = 20 * MAX_RECIPIENTS
"""Between values. So many recipients have fewer, though each has all fields."""
METHOD_CHARS, VERSION_CHARS, SOURCE_CHARS = 100, 200, 500


_one_or_many = OneOrMany(ConsentsBody, "recipients")
_body_decoder = msgspec.json.Decoder(ConsentBody)


class Consents:
    """Takes choices for a principal."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    async def handle(self, asked: Asked) -> web.Response:
        """PUT /v1/recipients/consent: takes one recipient's choice or a list."""
        status, answer = await self._take(asked.principal, await asked.text(), asked.endpoint)
        return json(answer, status)

    async def _take(self, principal: Principal, body: bytes, endpoint: Endpoint) -> tuple[int, Any]:
        """Status and JSON of the answer; what is accepted is durable by then.

        Raises RequestError or FieldRefused for one that is wrong, NotStored where it cannot be made durable.
        A list of which nothing can be accepted is answered with the first item's error, and with all of them.
        """
        if principal.confined_to is not None:
            message = "What recipients choose is the workspace's; this key is confined to domains."
            raise RequestError(403, "FORBIDDEN", message)
        json_bodies.refuse_array(body, 'send one recipient, or {"recipients": [...]}')
        if json_bodies.has_more_commas(body, MAX_COMMAS):
            raise _too_many()
        items = _one_or_many.items(body)
        if items is None:
            await self._commit([_read(principal, body)])
            return 202, ConsentsAnswer(1, [])
        if len(items) > MAX_RECIPIENTS:
            raise _too_many()
        accepted: list[Consent] = []
        refused: list[Rejected] = []
        for index, item in enumerate(items):
            try:
                accepted.append(_read(principal, item))
            except failures.ANSWERABLE as error:
                refused.append(rejected(index, failures.answered(error, endpoint)))
        if refused and not accepted:
            return 400, _one_or_many.refusal(refused)
        await self._commit(accepted)
        return 202, ConsentsAnswer(len(accepted), refused)

    async def _commit(self, consents: list[Consent]) -> None:
        if consents:
            await self._committer.append([keyed(one) for one in consents])


def keyed(consent: Consent) -> tuple[int, bytes]:
    """The choice of a recipient whose hash is known goes into the shard of the hash."""
    return slot_of_name(consent.workspace, "", consent.to_hash), encode(consent)


def consent_of(workspace: int, by: str, given: ConsentBody) -> Consent:
    """The record of one recipient's choice. Raises FieldRefused."""
    received = datetime.now(UTC)
    opens, clicks = _choice("opens", given.opens), _choice("clicks", given.clicks)
    if opens is None and clicks is None:
        raise invalid("opens", "say what was chosen of opens, of clicks, or of both")
    return Consent(
        at=_moment(given.at, received),
        received=fields.micros(received),
        workspace=workspace,
        to_hash=_hash(given),
        message=b"",
        opens=opens,
        clicks=clicks,
        method=fields.text("method", given.method, METHOD_CHARS),
        text_version=fields.text("text_version", given.text_version, VERSION_CHARS),
        source=fields.text("source", given.source, SOURCE_CHARS),
        by=by,
    )


def _read(principal: Principal, body: bytes | msgspec.Raw) -> Consent:
    given = json_bodies.decode(_body_decoder, body)
    return consent_of(principal.workspace, audit.actor_of(principal), given)


def _hash(given: ConsentBody) -> str:
    if (given.to is None) == (given.to_hash is None):
        raise invalid("to", "name the recipient by `to`, an address, or by `to_hash`, not by both")
    if given.to is not None:
        return recipients.hash_of(fields.address("to", given.to)[0])
    assert given.to_hash is not None
    to_hash = given.to_hash.lower() if len(given.to_hash) == 64 else ""
    if not recipients.is_hash(to_hash):
        raise invalid("to_hash", "takes the 64 hexadecimal digits that a message shows as to_hash")
    return to_hash


def _choice(field: str, given: str | None) -> int | None:
    if given is None:
        return None
    if given not in CHOICES:
        raise invalid(field, f"takes {', '.join(CHOICES)}, not {quoted(given)}")
    return int(CHOICES[given])


def _moment(given: str | None, received: datetime) -> int:
    """When it was chosen, however long ago: proofs are older than statistics.

    Up to an hour ahead, as a clock that is fast tells it, is now: no later choice may lose to this one.
    """
    at, claimed = fields.timestamp("at", given, received)
    if claimed is None:
        return min(at, fields.micros(received))
    if not 0 <= claimed < at:
        raise invalid("at", "takes a time from 1970 on that is not in the future")
    return claimed


def _too_many() -> RequestError:
    message = f"recipients: at most {MAX_RECIPIENTS} at once, and {MAX_COMMAS} values in all"
    return RequestError(400, "TOO_MANY_ITEMS", message, "recipients")

"""Webhooks of email providers: endpoints. Their bodies are the providers' own."""

from __future__ import annotations

from msgspec import Struct

from postmeter.shared.apis.document import NATIVE
from postmeter.shared.apis.endpoint import Endpoint, Service

PATH = "/v1/webhooks/{provider}/{source}"


class RejectedItem(Struct):
    """An item that could not be read; it is kept as a dead letter."""

    index: int
    code: str
    message: str


class DeliveryAnswer(Struct):
    """POST of a delivery. accepted: events, of which repetitions count once."""

    accepted: int
    rejected: list[RejectedItem]


class WebhookAnswer(Struct):
    """GET of a webhook's URL, with which some providers try it out."""

    provider: str


ENDPOINTS = (
    Endpoint(
        method="POST",
        path=PATH,
        document=NATIVE,
        service=Service.TRACKING,
        summary="An email provider's own webhook, verified by its signature",
        timeout=30.0,
        max_body=16 * 1024 * 1024,
        answer=DeliveryAnswer,
        failures=(401,),
    ),
    Endpoint(
        method="GET",
        path=PATH,
        document=NATIVE,
        service=Service.TRACKING,
        summary="Whether a webhook's URL is right",
        answer=WebhookAnswer,
    ),
)

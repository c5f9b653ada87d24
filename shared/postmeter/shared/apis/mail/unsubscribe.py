"""One-click unsubscribe (RFC 8058): endpoints. Their URLs stand in the headers of mails."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct, field

from postmeter.shared.apis.documents import vectis
from postmeter.shared.apis.endpoint import ANY_MEDIA, Endpoint, Service, one_of

UNSUBSCRIBE_PATH = "/api/v1/track/unsubscribe/"
FIELD, VALUE = "List-Unsubscribe", "One-Click"
"""What a mail client posts, urlencoded or as multipart/form-data, whatever its Content-Type says or leaves out."""


class OneClick(Struct):
    """The form of RFC 8058."""

    list_unsubscribe: Annotated[str, one_of(VALUE)] = field(name=FIELD)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path=UNSUBSCRIBE_PATH + "{token}",
        document=vectis.DOCUMENT,
        service=Service.TRACKING,
        summary="One-click unsubscribe, as mail clients post it",
        max_body=16 * 1024,
        body=OneClick,
        body_media=("application/x-www-form-urlencoded", "multipart/form-data", ANY_MEDIA),
        media="text/html",
    ),
    Endpoint(
        method="GET",
        path=UNSUBSCRIBE_PATH + "{token}",
        document=vectis.DOCUMENT,
        service=Service.TRACKING,
        summary="A page that asks for confirmation, and changes nothing",
        media="text/html",
    ),
)

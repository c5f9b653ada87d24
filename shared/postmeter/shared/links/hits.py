"""What a hit is and what it is answered with, whoever answers: tracking-service, or the gateway in its place.

A hit is a GET or HEAD of a tracking URL, whose token is one segment of the path, maybe an empty one.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH

GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""A transparent image of one pixel in 43 bytes; the smallest PNG has 67."""

PIXEL_HEADERS = {
    "Content-Type": "image/gif",
    "Cache-Control": "no-store, no-cache, must-revalidate, private, max-age=0",
    "Pragma": "no-cache",
    "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
}
"""What makes every open a request of its own."""

DROPPED = "Postmeter-Dropped"
"""Header of an answered pixel or redirect whose hit is in no statistics; its value is the reason."""


METHODS = ("GET", "HEAD")
PREFETCH_HEADERS = frozenset({b"purpose", b"sec-purpose", b"x-purpose", b"x-moz"})
"""Headers by which browsers and mail clients say that nobody is looking yet (hostile-input.md 24)."""
HEADERS = frozenset({b"user-agent", *PREFETCH_HEADERS})
"""The headers of a hit that are read, beside those with its client's address."""
USER_AGENT_BYTES = 512
REDIRECT_STATUS = HTTPStatus.FOUND.value

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="robots" content="noindex">
<meta name="viewport" content="width=device-width">{head}<title>{title}</title>
<body style="font:16px/1.5 sans-serif;max-width:32em;margin:15vh auto;padding:0 1em"><h1>{title}</h1><p>{text}</p>
"""


class Page(NamedTuple):
    """An answer that a person reads."""

    status: int
    headers: dict[str, str]
    body: bytes


def is_at(path: str) -> bool:
    """Whether a raw path is a tracking URL's."""
    return any(path.startswith(prefix) and "/" not in path[len(prefix) :] for prefix in (OPEN_PATH, CLICK_PATH))


def is_odd(path: bytes) -> bool:
    """Whether a path that begins as a tracking URL's is not one: it has more segments, or dots to change them."""
    return path.count(b"/") != OPEN_PATH.count("/") or b".." in path or b"%2e" in path.lower()


def is_prefetch(value: bytes) -> bool:
    """Whether the value of one of PREFETCH_HEADERS tells a prefetch or preview."""
    lowered = value.lower()
    return b"prefetch" in lowered or b"preview" in lowered


def redirect_headers(location: str) -> dict[str, str]:
    """The headers of a click's answer, which nobody may cache: the next click must come here, too."""
    return {"Cache-Control": "no-store", "Location": location}


def marked(headers: dict[str, str], dropped: str | None) -> dict[str, str]:
    """A hit's headers; those of one that is in no statistics name the reason."""
    return headers if dropped is None else {**headers, DROPPED: dropped}


def page_headers(*, forms: bool) -> dict[str, str]:
    """Of an answer that a person reads. forms: it holds one that posts to its own address."""
    forms_to = "'self'" if forms else "'none'"
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"default-src 'none'; style-src 'unsafe-inline'; form-action {forms_to};"
        " frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
    }


def page(status: int, title: str, text: str, *, head: str = "", forms: bool = False) -> Page:
    """A small page; `text` and `head` are HTML of ours. forms: it holds one that posts to its own address."""
    return Page(status, page_headers(forms=forms), _PAGE.format(head=head, title=title, text=text).encode())


REFUSED = {
    400: page(
        400,
        "This link is damaged",
        "Its address holds characters that no web address may hold. Please open it again from the original mail.",
    ),
    404: page(
        404,
        "This link does not work",
        "It is incomplete or was changed on its way. Please open it again from the original mail.",
    ),
}
"""What a person sees of a ClickRefused, by its status."""

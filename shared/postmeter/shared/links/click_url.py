"""What a click's URL asks for: the destination that was signed, and what others have appended on the way.

Both ports read it here, so that a click leads to the same place whoever answers it.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

from postmeter.shared.errors import ClickRefused, DestinationRefused, TokenRejected
from postmeter.shared.links import destination
from postmeter.shared.links.tokens import LINKS, KeyRing

APPENDED_BYTES = 2048
"""What is passed on of the parameters that others append, as they stand in the Location; those that do not fit are
left out."""
# A `#` would begin a fragment; everything else that is printable stands for itself.
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "#")


def follow(keys: KeyRing, token: bytes, query: bytes) -> tuple[int, int, bytes, int, str, str]:
    """(purpose, workspace number, message's 16 bytes, level, signed URL, Location) of a genuine click (hostile-input.md
    1-17).

    The signed URL is the one `url` parameter, decoded exactly once; `+` stays `+`. All other parameters, such as
    `utm_source` or `fbclid`, go into the Location's query as they are, after the destination's own and before its
    fragment: the token does not vouch for them, but they cannot change the host or the path. Raises ClickRefused.
    """
    others: list[bytes] = []
    if query.startswith(b"url=") and b"&" not in query:  # as we made it
        written = query[4:]
    else:
        written, others = _parts(query)
    if not written:
        raise ClickRefused(404, "url")
    decoded = unquote_to_bytes(written)
    if b"\0" in decoded:
        raise ClickRefused(400, "url")
    try:
        url = decoded.decode()
    except UnicodeDecodeError:
        raise ClickRefused(400, "url") from None
    try:
        purpose, workspace, message, level = keys.verify_one_of(LINKS, token, decoded)
    except TokenRejected as rejected:
        # Some append blindly with a question mark; in our own links it stands as %3F.
        if rejected.reason == "signature" and b"?" in query:
            return follow(keys, token, query.replace(b"?", b"&"))
        raise ClickRefused(404, rejected.reason) from None
    try:
        location = destination.location(url)
    except DestinationRefused:
        raise ClickRefused(404, "destination") from None
    return purpose, workspace, message, level, url, _extended(location, others) if others else location


def _parts(query: bytes) -> tuple[bytes, list[bytes]]:
    """The value of the one `url` parameter, and all other parameters."""
    parameters = query.split(b"&")
    urls = [parameter for parameter in parameters if _is_url(parameter)]
    if len(urls) != 1:
        raise ClickRefused(404, "url")
    return urls[0].partition(b"=")[2], [part for part in parameters if part and part is not urls[0]]


def _is_url(parameter: bytes) -> bool:
    name = parameter.partition(b"=")[0]
    return name == b"url" or (b"%" in name and unquote_to_bytes(name) == b"url")


def _extended(location: str, parameters: list[bytes]) -> str:
    """`location` with the parameters at the end of its query, as many of them as fit."""
    room = APPENDED_BYTES
    fitting = []
    for parameter in parameters:
        text = quote(parameter, safe=_SAFE)
        if len(text) < room:
            fitting.append(text)
            room -= len(text) + 1
    if not fitting:
        return location
    target, mark, fragment = location.partition("#")
    joint = "?" if "?" not in target else "" if target.endswith(("?", "&")) else "&"
    return target + joint + "&".join(fitting) + mark + fragment

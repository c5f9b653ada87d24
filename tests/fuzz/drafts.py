"""Requests that are still to be changed in one place, and the bytes that they become."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import quote


class Raw(NamedTuple):
    """A piece of JSON as it is written, be it JSON or not."""

    text: bytes


class Sent(NamedTuple):
    """A request as it goes out. port: which of the product's; name: of the endpoint; change: what was done to it."""

    port: str
    name: str
    change: str
    method: bytes
    data: bytes


@dataclass
class Draft:
    """A good request. sign: headers that fit the body's bytes, made last.

    path: segments, each encoded; query: names and values, encoded unless they are bytes; body: a JSON value, or bytes.
    """

    port: str
    name: str
    method: str
    path: list[str]
    query: list[tuple[str | bytes, str | bytes]] = field(default_factory=list)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: Any = None
    media: str = "application/json"
    sign: Callable[[bytes], dict[str, str]] | None = None
    cut: int | None = None
    """Bytes of the body that are not sent, although Content-Length promises them."""

    def copy(self) -> Draft:
        """One that may be changed. What is within the body is copied when it is changed."""
        return replace(self, path=[*self.path], query=[*self.query], headers=[*self.headers])

    def content(self) -> bytes | None:
        """The body's bytes."""
        return self.body if self.body is None or isinstance(self.body, bytes) else dumped(self.body)

    def sent(self, change: str) -> Sent:
        """The request as bytes."""
        target = "/".join(self.path).encode("utf-8", "surrogateescape")
        if self.query:
            target += b"?" + b"&".join(b"=".join((_encoded(name), _encoded(value))) for name, value in self.query)
        method = self.method.encode("latin-1")
        head = [method + b" " + target + b" HTTP/1.1"]
        body = self.content()
        given = {name.lower() for name, _ in self.headers}
        headers = [*self.headers]
        if self.sign is not None and body is not None:
            headers += [(name.encode(), value.encode("latin-1")) for name, value in self.sign(body).items()]
            given |= {name.lower() for name, _ in headers}
        if b"host" not in given:
            headers.append((b"Host", b"postmeter.example"))
        if body is not None and b"content-type" not in given:
            headers.append((b"Content-Type", self.media.encode()))
        if body is not None and b"content-length" not in given:
            headers.append((b"Content-Length", b"%d" % len(body)))
        head += [name + b": " + value for name, value in headers]
        data = b"\r\n".join(head) + b"\r\n\r\n" + (body or b"")
        return Sent(self.port, self.name, change, method, data[: -self.cut] if self.cut else data)


def _encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else quote(text, safe="", errors="surrogatepass").encode()


def dumped(value: Any) -> bytes:
    """JSON with raw pieces in it; an object's fields may also be a list of pairs, in which a name may come twice."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        fields = [_name(name) + b":" + dumped(inner) for name, inner in value.items()]
        return b"{" + b",".join(fields) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(dumped, value)) + b"]"
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _name(name: Any) -> bytes:
    return name.text if isinstance(name, Raw) else json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")

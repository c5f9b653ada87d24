"""Answers to what is refused, in the envelope of the document whose path was called."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from postmeter.shared.apis.codes import Code
from postmeter.shared.apis.document import Document
from postmeter.shared.apis.table import document_of
from postmeter.shared.errors import RequestError
from postmeter.shared.http import request_ids

LINE_LIMIT = 32 * 1024
"""Bytes of a request line's target. A click on an 8 KB destination, percent-encoded, needs 25 KB."""
FIELDS_LIMIT = 60 * 1024
"""Bytes of all headers: a browser may have 48 KB of cookies for our host's parent domain, and they are not ours."""
HEADERS_LIMIT = 100
LINE_KEPT = 128
"""Bytes of a request line that decide whose envelope its refusal has."""
SERVER = "postmeter"
"""Nobody outside needs to know which versions run here."""
_CODES: dict[int, Code] = {
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    417: "EXPECTATION_FAILED",
}


def refusal(method: str, path: str, error: RequestError, request_id: str) -> web.Response:
    """An error in the envelope of the document that `method` on `path` belongs to."""
    return answer(document_of(path, method), error, request_id)


def answer(document: Document, error: RequestError, request_id: str) -> web.Response:
    """An error in a document's envelope."""
    response = web.Response(
        body=document.error_body(error, request_id),
        status=error.status,
        headers=error.headers,
        content_type="application/json",
    )
    finish(response, request_id)
    return response


def finish(response: web.StreamResponse, request_id: str) -> None:
    """The headers that every answer has."""
    response.headers[request_ids.HEADER] = request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = SERVER
    response.headers.setdefault("Cache-Control", "no-store")


def wire(line: bytes, error: RequestError) -> bytes:
    """The bytes of an answer after which the connection ends, to a request that began with `line`."""
    response = refusal(*called(line), error, request_ids.new())
    body = response.body
    assert isinstance(body, bytes)
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items() if name != "Content-Length"]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("ascii") + body


def called(line: bytes) -> tuple[str, str]:
    """(method, path) of a request line, as far as it has come."""
    method, target, *_ = [*line.decode("latin-1").lstrip("\r\n").split(" ", 2), "", ""]
    return method, origin_form(target).partition("?")[0]


def origin_form(target: str) -> str:
    """A request's target as path and query; a proxy's is absolute, with scheme and host (RFC 9112, 3.2.2)."""
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return target
    end = next((at for at, character in enumerate(rest) if character in "/?#"), len(rest))
    path = rest[end:]
    return path if path.startswith("/") else "/" + path


def too_late() -> RequestError:
    """The error of a head that is late; a body has its own."""
    return RequestError(408, "REQUEST_TIMEOUT", "The request's head did not arrive in time.")


def not_expected() -> RequestError:
    """The error of an `Expect` other than 100-continue."""
    return RequestError(417, _CODES[417], "Only 100-continue may be expected.")


def of_exception(answered: web.HTTPException) -> RequestError:
    """What aiohttp's router answers, without its text."""
    allowed = {name: value for name, value in answered.headers.items() if name == "Allow"}
    reason = HTTPStatus(answered.status).phrase
    return RequestError(answered.status, _CODES.get(answered.status, "BAD_REQUEST"), reason + ".", None, allowed)


def of_fault(status: int, fault: BaseException | None) -> RequestError:
    """What a parser's fault, or one of our own, becomes: nothing of what the caller sent is repeated."""
    if status >= 500:
        return RequestError(500, "INTERNAL_ERROR", "Something went wrong here; the log has it by the request id.")
    if isinstance(fault, LineTooLong):
        # The exception says which of the two limits was passed, and only by its value.
        if fault.args[1] == LINE_LIMIT:
            return line_too_long()
        return too_large()
    return too_many() if "Too many headers" in str(fault) else malformed()


def malformed() -> RequestError:
    """The error of what is not HTTP, or not understood by everybody in the same way."""
    return RequestError(400, "BAD_REQUEST", "This is not a well-formed HTTP/1.1 request.")


def broken_off() -> RequestError:
    """The error of a body that ended too early or is not framed as announced."""
    return RequestError(400, "BAD_REQUEST", "The body is not what its headers announced.")


def not_chunked() -> RequestError:
    """RFC 9112, 6.1: of a coding that we do not know, or of one that an HTTP/1.0 client does not."""
    message = "The only Transfer-Encoding is chunked, said once, by a client of HTTP/1.1."
    return RequestError(400, "BAD_REQUEST", message)


def no_host() -> RequestError:
    """The error of no Host header, or more than one (RFC 9112, 3.2)."""
    return RequestError(400, "BAD_REQUEST", "A request of HTTP/1.1 has one Host header.")


def line_too_long() -> RequestError:
    """The error of a request line that is too long."""
    return RequestError(414, "URI_TOO_LONG", f"The URL may have {LINE_LIMIT} bytes at most.")


def too_many() -> RequestError:
    """The error of too many headers."""
    return RequestError(431, "HEADERS_TOO_LARGE", f"A request may have {HEADERS_LIMIT} headers at most.")


def too_large() -> RequestError:
    """The error of headers that are too large together."""
    return RequestError(431, "HEADERS_TOO_LARGE", f"The headers may have {FIELDS_LIMIT} bytes at most.")

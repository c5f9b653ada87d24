"""Errors of our own as HTTP errors: the one place where they become statuses and codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.errors import FieldRefused, RequestError, ResultTooLarge, Unavailable

Answerable: TypeAlias = RequestError | FieldRefused | ResultTooLarge | Unavailable
TRANSLATED = (FieldRefused, ResultTooLarge, Unavailable)
ANSWERABLE = (RequestError, *TRANSLATED)


def answered(error: Answerable, endpoint: Endpoint) -> RequestError:
    """The RequestError with which an endpoint's error is answered, without a traceback: whoever keeps it would keep the
    frames that it came through, and the body with them.
    """
    match error:
        case FieldRefused():
            return RequestError(*endpoint.refusal, error.message, error.field)
        case ResultTooLarge():
            return RequestError(400, "RESULT_TOO_LARGE", error.message, error.field)
        case Unavailable():
            headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
            return RequestError(503, "UNAVAILABLE", error.message, None, headers)
        case RequestError():
            return error.with_traceback(None)


@contextmanager
def translated(endpoint: Endpoint) -> Iterator[None]:
    """Raise errors from inside as RequestErrors."""
    try:
        yield
    except TRANSLATED as error:
        raise answered(error, endpoint) from None

"""Logs: JSON lines in production, readable ones on a terminal; each line carries its request's id."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any, TextIO, cast

import structlog

from postmeter.shared.text import masking, quoting

VALUE_CHARS = 1000
TRACEBACK_CHARS = 20_000
_ITEMS = 50
_PLAIN = (int, float, bool, type(None))
SELDOM_SECONDS = 10.0
_LIBRARIES = ("asyncio", "aiohttp", "asyncpg", "redis")


class _Lenient:
    """A stream that never fails: what reports a full disk must not fail because the disk is full."""

    def __init__(self, to: TextIO) -> None:
        self._to = to

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._to.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._to.flush()


class _Libraries(logging.Handler):
    """What libraries log themselves, such as asyncio about a task that failed unseen, becomes lines like ours."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):  # logging must fail nobody
            get().log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


class Seldom:
    """One warning for what may happen a thousand times a second: at once, then every SELDOM_SECONDS at most.

    Each line has `count`, how often it happened since the line before, and the fields of the last time. level: of
    `logging`.
    """

    def __init__(self, message: str, level: int = logging.ERROR) -> None:
        self._message = message
        self._level = level
        self._count = 0
        self._fields: dict[str, object] = {}
        self._said = -SELDOM_SECONDS
        self._timer: asyncio.TimerHandle | None = None

    def note(self, count: int = 1, **fields: object) -> None:
        """Count that it has happened. Needs a running event loop."""
        self._count += count
        self._fields = fields
        if self._timer is None:
            wait = self._said + SELDOM_SECONDS - time.monotonic()
            if wait <= 0:
                self._say()
            else:
                self._timer = asyncio.get_running_loop().call_later(wait, self._say)

    def _say(self) -> None:
        self._timer = None
        self._said = time.monotonic()
        count, self._count = self._count, 0
        get().log(self._level, self._message, count=count, **self._fields)


def configure(service: str, log_format: str, log_level: str) -> None:
    """Set up structlog for one process. `log_format`: json, console or auto (console on a terminal)."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )

    def named(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**line, "service": service}

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            named,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            harmless,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[log_level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Lenient(sys.stderr))),
    )
    for name in _LIBRARIES:
        logging.getLogger(name).handlers = [_Libraries(logging.WARNING)]


def harmless(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The processor that cleans and cuts every value of a line, whoever it comes from, and masks email addresses.

    A traceback keeps its lines.
    """
    for name, value in line.items():
        if name == "exception" and isinstance(value, str):
            # The end tells the error; its beginning may be a text of megabytes.
            lines = value[-TRACEBACK_CHARS:].split("\n")
            line[name] = "\n".join(map(_text, lines))
        else:
            line[name] = _harmless(value)
    return line


def _harmless(value: Any, depth: int = 3) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if depth and isinstance(value, dict):
        few = list(value.items())[:_ITEMS]
        return {_text(str(name), quoting.QUOTED): _harmless(one, depth - 1) for name, one in few}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_harmless(one, depth - 1) for one in list(value)[:_ITEMS]]
    return _text(value if isinstance(value, str) else repr(value))


def _text(value: str, limit: int = VALUE_CHARS) -> str:
    return quoting.clean(masking.masked(value, 2 * limit), limit)


def words(error: BaseException) -> str:
    """An error's kind and what it was raised with, for a line's `error`.

    redis-py's errors have a repr() without what Redis said; str() of asyncpg's has details, with values of rows; what
    aiohttp says of an answer has the whole request, with its headers, and tokens in its URL.
    """
    if hasattr(error, "request_info"):
        return f"{type(error).__name__}({getattr(error, 'status', 0)}, {getattr(error, 'message', '')!r})"
    if len(error.args) == 1 and isinstance(error.args[0], BaseException):  # redis-py, of what fails while it connects
        return f"{type(error).__name__}({words(error.args[0])})"
    return BaseException.__repr__(error)


def bind_request(request_id: str) -> None:
    """Put this id on every line that is logged from here on while the request is handled."""
    structlog.contextvars.bind_contextvars(request_id=request_id)


def of_trace(trace_id: str) -> AbstractContextManager[None]:
    """Put the trace's id on every line that is logged inside."""
    return structlog.contextvars.bound_contextvars(trace_id=trace_id)


def get() -> structlog.typing.FilteringBoundLogger:
    """The process's logger."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger

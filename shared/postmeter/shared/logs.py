"""Logs: JSON lines in production, readable ones on a terminal; each line carries its request's id."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(service: str, log_format: str, log_level: str) -> None:
    """Set up structlog for one process. `log_format`: json, console or auto (console on a terminal)."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[log_level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)


def bind_request(request_id: str) -> None:
    """Put this id on every line that is logged from here on while the request is handled."""
    structlog.contextvars.bind_contextvars(request_id=request_id)


def get() -> structlog.typing.FilteringBoundLogger:
    """The process's logger."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger

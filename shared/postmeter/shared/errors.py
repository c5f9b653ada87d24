"""The tree of Postmeter's own errors.

PostmeterError
├── SettingsError           a setting is missing or wrong; names the variable
├── TokenRejected           a tracking token is not one of ours; carries the named reason
├── DestinationRefused      a link's destination may not be redirected to
├── ClickRefused            a click's URL leads nowhere; carries its status and the named reason
├── RequestError            a caller's mistake; becomes an answer with a code, a status and a field
└── MigrationError          the schema could not be brought up to date
"""

from __future__ import annotations

from postmeter.shared.text import quoting

MESSAGE_CHARS = 2000
"""Of a RequestError's message; what it shows of a caller's text is quoted and cut to less by whoever writes it."""


class PostmeterError(Exception):
    """Base of every error that Postmeter raises on purpose."""


class SettingsError(PostmeterError):
    """A setting is missing or wrong. The message names the environment variable and what it takes."""


class TokenRejected(PostmeterError):
    """A tracking token that this deployment did not sign. `reason` is a metric label, never shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DestinationRefused(PostmeterError):
    """A URL that no tracked link may lead to (hostile-input.md 7-17). The message says why."""


class ClickRefused(PostmeterError):
    """A click's URL that leads nowhere, whoever answers it (hostile-input.md 1-17).

    `status` is 404, or 400 where its address is not text; `reason` is a metric label, never shown.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class MigrationError(PostmeterError):
    """The database schema could not be brought up to date. The message names the migration."""


class RequestError(PostmeterError):
    """A caller's mistake, answered in the envelope of the document whose path was called.

    `status` is the HTTP status, `code` the machine-readable code, `message` says what to do,
    `field` names the offending field or is None. Both are cleaned and cut here, for they may hold a caller's text:
    they go into answers, logs and dead letters.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.message = quoting.clean(message, MESSAGE_CHARS)
        super().__init__(self.message)
        self.status = status
        self.code = code
        self.field = None if field is None else quoting.clean(field, quoting.QUOTED)
        self.headers = headers or {}

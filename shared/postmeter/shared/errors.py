"""The tree of Postmeter's own errors: whatever is raised on purpose belongs to it, wherever its class stands.

PostmeterError
├── SettingsError              a setting is missing or wrong; names the variable
├── MigrationError             the schema could not be brought up to date
├── RequestError               what a caller is answered with: a status, a code, a field. Made at the edge alone
├── FieldRefused               a value that a caller gave is wrong; the edge says with which code
├── ResultTooLarge             a query's answer would have too many rows
├── Unavailable                what is needed is away for now; it may be asked for again
│   └── NotStored              tracking-service: neither Redis nor the spool has taken records
├── TokenRejected              a tracking token is not one of ours; carries the named reason
├── DestinationRefused         a link's destination may not be redirected to
├── ClickRefused               a click's URL leads nowhere; carries its status and the named reason
├── ThresholdRefused, PrivacyRefused
│                              a workspace may not decide so
│
│   of the gateway
├── NotSent, NoAnswer          a hit did not reach tracking-service; its answer did not come
├── KeyRefused, NoSuchKey
├── UserRefused, NoSuchUser
│   └── UserExists             a UserRefused
├── NotSignedIn, ProviderAway, WrongService
├── AddressRefused, TooManyAddresses, NoSuchAddress, NoSuchWorkspace, WorkspaceRefused
│
│   of tracking-service
├── SpoolFull, SpoolTaken, SegmentUnreadable, RedisAway
├── ItemUnreadable             of a webhook's delivery
├── SourceRefused, NoSuchSource, TooManySources
├── TooManyLinks, TooMuchMarkup, Untracked
│
│   of query-service
├── ExportFailed, ExportTooLarge, TooManyExports, StorageRefused, JobLost
│
│   of the aggregator
├── LeaseLost, ShardStalled, StreamSetBack, OutOfStep, ClocksApart
├── NetworksError, AgentNamesError
│
│   of the commands
├── CommandError, FeedError, NumberNotTaken
└── LocalError
    └── MissingBinaryError, DataDirectoryError, PortTakenError, StartError
"""

from __future__ import annotations

from postmeter.shared.apis.codes import Code
from postmeter.shared.text import quoting

MESSAGE_CHARS = 2000
"""Of a message that a caller gets; what it shows of a caller's text is quoted and cut to less by whoever writes it."""


class PostmeterError(Exception):
    """Base of every error that Postmeter raises on purpose."""


class SettingsError(PostmeterError):
    """A setting is missing or wrong. The message names the environment variable and what it takes."""


class MigrationError(PostmeterError):
    """The database schema could not be brought up to date. The message names the migration."""


class FieldRefused(PostmeterError):
    """A value that a caller gave is wrong. The message names it and says what would be right.

    field: its name as the caller writes it; None: the whole body. Both are cleaned and cut here, for they may hold a
    caller's text: they go into answers, logs and dead letters.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        self.message = quoting.clean(message, MESSAGE_CHARS)
        super().__init__(self.message)
        self.field = None if field is None else quoting.clean(field, quoting.QUOTED)


class ResultTooLarge(PostmeterError):
    """A query's answer would have too many rows. The message says what to narrow; field: what makes them so many."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class Unavailable(PostmeterError):
    """What is needed is away for now. The message is a caller's to read; retry_after: seconds, None: not known."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


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


class RequestError(PostmeterError):
    """An error as it is answered, in the envelope of the document whose path was called.

    `status` is the HTTP status, `code` the machine-readable code, `message` says what to do,
    `field` names the offending field or is None. Both are cleaned and cut here, as FieldRefused's are.
    """

    def __init__(
        self,
        status: int,
        code: Code,
        message: str,
        field: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.message = quoting.clean(message, MESSAGE_CHARS)
        super().__init__(self.message)
        self.status = status
        self.code: Code = code
        self.field = None if field is None else quoting.clean(field, quoting.QUOTED)
        self.headers = headers or {}

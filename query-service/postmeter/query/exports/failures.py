"""Why an export could not be made, in words that help whoever ordered it."""

from __future__ import annotations

import errno

import asyncpg

from postmeter.shared.errors import PostmeterError

NO_DATA = "insufficient data"
DIED = "the servers that worked on it died; order it again, or a smaller one"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ExportFailed(PostmeterError):
    """Trying again would not help. The message ends the sentence "Failed to generate export: ..."."""


class ExportTooLarge(PostmeterError):
    """An export would have more rows than one may have. The message says what to narrow."""


class TooManyExports(PostmeterError):
    """The workspace has as many exports in the making as it may have."""


class JobLost(PostmeterError):
    """The lease of an export belongs to somebody else now."""


class StorageRefused(PostmeterError):
    """The place where exports are kept did not take one; the cause says why."""


def reason(error: BaseException) -> str:
    """What to say about an error that another attempt may not meet."""
    match error:
        case OSError() if error.errno in _FULL:
            return "the disk for exports is full; order it again later, or a smaller one"
        case StorageRefused():
            return "the storage for exports did not take the file; order it again later"
        case TimeoutError() | asyncpg.QueryCanceledError():
            return "the database took too long; choose a shorter time range"
        case _:
            return "an internal error, which the server's log has under the export's id"

"""Rows in the binary format of COPY, packed many at a time: a quarter of what each value by itself costs.

Only row shapes that are written often are packed. A row is the number of its columns, then each value after its length
in bytes.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from struct import Struct
from typing import Any

from postmeter.aggregator.fold.changes import Plain
from postmeter.aggregator.fold.moments import UNTIL_2000
from postmeter.shared.storage.postgres import Connection

_BEGINNING = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"

OPEN = ("workspace", "message", "at", "type", "series", "verdict", "user_agent_id", "network")
CLICK = (*OPEN, "link")
ENGAGEMENT = ("workspace", "message", "kind", "at", "series")
MESSAGE = (
    *("workspace", "id", "series", "campaign", "from_address", "to_hash", "to_domain", "subject", "provider"),
    *("provider_account", "provider_message", "template", "tags", "created_at", "flags", "links", "domain"),
    *("recipient_ref", "to_digest"),
)
_OPEN = Struct(">h ii i16s iq ih iq ih ii ii")
_CLICK = Struct(">h ii i16s iq ih iq ih ii ii iq")
_ENGAGEMENT = Struct(">h ii i16s ih iq iq")
_MESSAGE, _TIME, _NUMBERS = Struct(">hii i16s iq"), Struct(">iq"), Struct(">ihii")
_NULL = b"\xff\xff\xff\xff"
_TEXT = 25
"""Postgres' number of the type."""
_NO_TEXTS = struct.pack(">4i", 12, 0, 0, _TEXT)


def opens(rows: Iterable[Plain]) -> list[bytes]:
    """Rows of the history: those of the plain ones that have no link."""
    pack, since = _OPEN.pack, UNTIL_2000
    return [
        pack(8, 4, workspace, 16, message, 8, at - since, 2, kind, 8, series, 2, verdict, 4, agent, 4, network)
        for workspace, message, at, kind, series, verdict, agent, network, link in rows
        if not link
    ]


def clicks(rows: Iterable[Plain]) -> list[bytes]:
    """Rows of the history: those of the plain ones that have a link."""
    pack, since = _CLICK.pack, UNTIL_2000
    return [
        pack(9, 4, workspace, 16, message, 8, at - since, 2, kind, 8, series, 2, verdict, 4, agent, 4, network, 8, link)
        for workspace, message, at, kind, series, verdict, agent, network, link in rows
        if link
    ]


def engagements(rows: Iterable[tuple[int, bytes, int, int, int]]) -> list[bytes]:
    """First engagements (workspace, message, kind, at, series), in the order of their keys."""
    pack, since = _ENGAGEMENT.pack, UNTIL_2000
    # Numbers that are never negative and bytes, packed: they are in order where the keys are.
    return sorted(
        [
            pack(5, 4, workspace, 16, message, 2, kind, 8, at - since, 8, series)
            for workspace, message, kind, at, series in rows
        ]
    )


def messages(rows: Iterable[Sequence[Any]]) -> list[bytes]:
    """Messages, column by column, in the order of their keys."""
    head, created, numbers, texts, since = _MESSAGE.pack, _TIME.pack, _NUMBERS.pack, _Texts(), UNTIL_2000
    packed = []
    for workspace, message, series, *said, tags, at, flags, links, domain, recipient_ref, digest in rows:
        packed.append(
            b"".join(
                (
                    head(19, 4, workspace, 16, message, 8, series),
                    *[texts[text] for text in said],
                    _NULL if tags is None else _array(tags, texts) if tags else _NO_TEXTS,
                    created(8, at - since),
                    numbers(2, flags, 4, links),
                    texts[domain],
                    texts[recipient_ref],
                    _NULL if digest is None else len(digest).to_bytes(4, "big") + digest,
                )
            )
        )
    packed.sort()
    return packed


class _Texts(dict[str | None, bytes]):
    """Packed texts, or nulls: most are those of many rows."""

    def __missing__(self, text: str | None) -> bytes:
        packed = b"" if text is None else text.encode()
        self[text] = packed = _NULL if text is None else len(packed).to_bytes(4, "big") + packed
        return packed


def _array(texts: Sequence[str], packed: _Texts) -> bytes:
    """An array of one dimension: whether it holds nulls, the type of what it holds, length, first place."""
    body = struct.pack(">5i", 1, 0, _TEXT, len(texts), 1) + b"".join([packed[text] for text in texts])
    return len(body).to_bytes(4, "big") + body


async def copy(connection: Connection, table: str, columns: Sequence[str], rows: list[bytes]) -> None:
    """Store packed rows of one shape, if there are any."""
    if rows:
        packed = b"".join((_BEGINNING, *rows, _END))
        await connection.copy_to_table(table, source=_at_once(packed), format="binary", columns=columns)


async def _at_once(packed: bytes) -> AsyncIterator[bytes]:
    yield packed

"""Messages in the binary format of COPY (`fold.rows`), packed many at a time: a quarter of what each value by itself
costs.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from struct import Struct
from typing import Any

from postmeter.aggregator.fold.moments import UNTIL_2000
from postmeter.shared.storage.postgres import Connection

_BEGINNING = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"

MESSAGE = (
    *("workspace", "id", "series", "campaign", "from_address", "to_hash", "to_domain", "subject", "provider"),
    *("provider_account", "provider_message", "template", "tags", "created_at", "flags", "links", "domain"),
    *("recipient_ref", "to_digest"),
)
_MESSAGE, _TIME, _NUMBERS = Struct(">hii i16s iq"), Struct(">iq"), Struct(">ihii")
_NULL = b"\xff\xff\xff\xff"
_TEXT = 25
"""Postgres' number of the type."""
_NO_TEXTS = struct.pack(">4i", 12, 0, 0, _TEXT)


def messages(rows: Iterable[Sequence[Any]]) -> list[bytes]:
    """Messages, column by column, in the order of their keys."""
    head, created, numbers, texts, since = _MESSAGE.pack, _TIME.pack, _NUMBERS.pack, _Texts(), UNTIL_2000
    packed = []
    for (
        workspace, message, series, campaign, from_address, to_hash, to_domain, subject, provider, account, name,
        template, tags, at, flags, links, domain, recipient_ref, digest,
    ) in rows:  # fmt: skip
        packed.append(
            b"".join(
                (
                    head(19, 4, workspace, 16, message, 8, series),
                    texts[campaign],
                    texts[from_address],
                    texts[to_hash],
                    texts[to_domain],
                    texts[subject],
                    texts[provider],
                    texts[account],
                    texts[name],
                    texts[template],
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

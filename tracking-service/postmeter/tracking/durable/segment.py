"""A segment of the spool: a file of frames, each of which is one batch.

A frame is the segment's marker, the payload's length, a CRC32 of both and the payload, and the payload (MessagePack:
shard, batch id, packed records). The marker is made anew for each use of a file and stands in its name, so that what an
earlier use has left in a file that was set aside is never read, not even behind a head that is torn; and a damaged
frame does not hide the ones after it: they are found by the marker, which nobody outside can know. A frame counts once
it is synced; a torn one was never answered.

Segments of before are still read: those without a marker, and those whose CRC32 is of the payload alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from postmeter.shared.errors import PostmeterError
from postmeter.shared.process import logs

SUFFIX = ".segment"
MARKER_BYTES = 8
_FRAME = struct.Struct(f">{MARKER_BYTES}sII")
_OLD_FRAME = struct.Struct(">II")
# A frame's bytes beside the records, generously: marker, length, checksum, MessagePack's heads, shard, batch id.
FRAME_BYTES = 128
_NAME = re.compile(r"(\d{8})(?:-([0-9a-f]{16})(-2)?)?\.segment")


class Spooled(msgspec.Struct, array_like=True, frozen=True):
    """A batch exactly as its first attempt to append it was."""

    shard: int
    batch_id: bytes
    packed: bytes


_decoder = msgspec.msgpack.Decoder(Spooled)


class SegmentUnreadable(PostmeterError):
    """The disk does not give a segment's bytes. The message names it and says why."""


class Segment:
    """A segment that is written, by one thread. `room`: bytes that it may hold.

    is_set_aside: its file is of the reserve and has its blocks already; others grow.
    """

    def __init__(self, path: Path, flags: int, room: int, *, is_set_aside: bool) -> None:
        self.path = path
        self.size = 0
        self.is_set_aside = is_set_aside
        self._marker = bytes.fromhex(path.stem.split("-")[1])
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
        self._room = room

    @classmethod
    def create(cls, path: Path, room: int) -> Segment:
        """A new file. Raises OSError."""
        return cls(path, os.O_CREAT | os.O_EXCL, room, is_set_aside=False)

    def takes(self, size: int) -> bool:
        """Whether that many bytes still fit; an empty segment takes any, and grows."""
        return not self.size or self.size + size <= self._room

    def append(self, batches: Sequence[Spooled]) -> int:
        """Return the frames' bytes once all are on disk. Raises OSError; the segment is then to be ended."""
        payloads = [msgspec.msgpack.encode(batch) for batch in batches]
        data = b"".join(
            _FRAME.pack(self._marker, len(payload), _checksum(self._marker, payload)) + payload for payload in payloads
        )
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._descriptor, data[written:], self.size + written)
            # The length of a file that grows is synced with it: its data could not be read without.
            os.fdatasync(self._descriptor)
        except OSError:
            # What was not acknowledged is not to be read either, the first of it, though it would do no harm.
            with contextlib.suppress(OSError):
                os.pwrite(self._descriptor, bytes(_FRAME.size), self.size)
            raise
        self.size += len(data)
        return len(data)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def new_name(number: int) -> str:
    """A name for the next use of a file."""
    return f"{number:08}-{secrets.token_hex(MARKER_BYTES)}-2{SUFFIX}"


def number_of(segment: Path) -> int:
    """The place of a segment among the others of its folder."""
    found = _NAME.fullmatch(segment.name)
    return int(found.group(1)) if found else 0


def segments(folder: Path) -> list[Path]:
    """The segments of a folder, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def written(folder: Path) -> Iterator[float]:
    """When each segment of a folder was last written; one that goes meanwhile is passed over."""
    for segment in segments(folder):
        with contextlib.suppress(FileNotFoundError):
            yield segment.stat().st_mtime


def read(segment: Path) -> Iterator[Spooled]:
    """The batches of a segment. Damaged frames are left out and logged; a torn one at the end looks the same.

    Holds the segment in memory. Raises SegmentUnreadable.
    """
    found = _NAME.fullmatch(segment.name)
    try:
        data = segment.read_bytes()
    except OSError as error:
        raise SegmentUnreadable(f"{segment} cannot be read: {error.strerror or repr(error)}") from error
    if found is None or found.group(2) is None:
        yield from _read_old(segment, data)
        return
    marker, position = bytes.fromhex(found.group(2)), 0
    covered = marker if found.group(3) else b""
    damaged = 0
    while (position := data.find(marker, position)) >= 0 and len(data) - position >= _FRAME.size:
        _, size, checksum = _FRAME.unpack_from(data, position)
        start = position + _FRAME.size
        payload = data[start : start + size]
        batch = _batch(payload) if len(payload) == size and _checksum(covered, payload) == checksum else None
        if batch is None:
            damaged += 1
            position += MARKER_BYTES
        else:
            yield batch
            position = start + size
    if damaged:
        logs.get().error("damaged or torn frames in the spool", segment=str(segment), frames=damaged)


def _read_old(segment: Path, data: bytes) -> Iterator[Spooled]:
    """As the version before wrote them: length, CRC32, payload; nothing finds what comes after a damaged length."""
    position = 0
    while position + _OLD_FRAME.size <= len(data):
        size, checksum = _OLD_FRAME.unpack_from(data, position)
        position += _OLD_FRAME.size
        payload = data[position : position + size]
        position += size
        if len(payload) < size:
            logs.get().warning("torn end in the spool", segment=str(segment), bytes=len(payload))
            return
        batch = _batch(payload) if zlib.crc32(payload) == checksum else None
        if batch is not None:
            yield batch
        else:
            logs.get().error("damaged frame in the spool", segment=str(segment), position=position)


def _checksum(marker: bytes, payload: bytes) -> int:
    """Of a frame; without a marker that of the payload alone."""
    return zlib.crc32(payload, zlib.crc32(marker + len(payload).to_bytes(4)) if marker else 0)


def _batch(payload: bytes) -> Spooled | None:
    """The batch of a frame; None for what only looks like one."""
    try:
        return _decoder.decode(payload)
    except msgspec.DecodeError:
        return None

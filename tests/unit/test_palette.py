"""Pictures of the docs keep what they show when they are made small."""

import random
import struct
import zlib

import pytest

from docs.palette import paletted

WIDTH, HEIGHT = 7, 5


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def filtered(line: bytes, above: bytes, kind: int) -> bytes:
    """A line as a PNG has it, by the definitions of its five filters."""
    found = bytearray([kind])
    for place, value in enumerate(line):
        left, up, corner = (
            line[place - 3] if place > 2 else 0,
            above[place],
            above[place - 3] if place > 2 else 0,
        )
        nearest = min(
            ((abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner))
        )[2]
        found.append((value - (0, left, up, (left + up) // 2, nearest)[kind]) % 256)
    return bytes(found)


def written(lines: list[bytes], kind: int) -> bytes:
    body = b"".join(
        filtered(line, above, kind) for line, above in zip(lines, [bytes(3 * WIDTH), *lines[:-1]], strict=True)
    )
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n"
    packed = zlib.compress(body)
    halves = chunk(b"IDAT", packed[:9]) + chunk(b"IDAT", packed[9:])
    return start + chunk(b"IHDR", header) + halves + chunk(b"IEND", b"")


def shown(png: bytes) -> list[bytes]:
    """The pixels of a picture with a palette and without filters."""
    parts, place = {}, 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        content = png[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", png, place + 8 + length)[0] == zlib.crc32(png[place + 4 : place + 8] + content)
        parts[png[place + 4 : place + 8]] = content
        place += 12 + length
    palette, pixels = parts[b"PLTE"], zlib.decompress(parts[b"IDAT"])
    lines = [pixels[start : start + WIDTH + 1] for start in range(0, len(pixels), WIDTH + 1)]
    assert all(line[0] == 0 for line in lines)
    return [b"".join(palette[3 * index : 3 * index + 3] for index in line[1:]) for line in lines]


@pytest.mark.parametrize("kind", range(5))
def test_a_picture_of_few_colours_stays_as_it_is(kind: int) -> None:
    lines = [random.Random(f"{kind}/{row}").randbytes(3 * WIDTH) for row in range(HEIGHT)]
    assert shown(paletted(written(lines, kind))) == lines


def test_another_kind_of_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="24 bits"):
        paletted(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 6, 0, 0, 0)))

"""Small PNGs: a screen's picture has few colours, but browsers write it with 16 million (RFC 2083 is the format)."""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

COLOURS = 256
Colour = tuple[int, ...]


def paletted(png: bytes) -> bytes:
    """The same picture with its 256 most frequent colours; every other one becomes the nearest of them.

    Takes what browsers write: 8 bits for each of red, green and blue, not interlaced.
    """
    width, height, depth, kind = struct.unpack_from(">IIBB", png, 16)
    if (depth, kind) != (8, 2):
        raise ValueError("not a PNG with 24 bits a pixel")
    pixels = zlib.decompress(b"".join(content for name, content in _chunks(png) if name == b"IDAT"))
    lines = [list(zip(line[::3], line[1::3], line[2::3], strict=True)) for line in _unfiltered(pixels, 3 * width)]
    counted = Counter(colour for line in lines for colour in line)
    palette = [colour for colour, _ in counted.most_common(COLOURS)]
    place: dict[Colour, int] = {colour: number for number, colour in enumerate(palette)}
    for colour in counted:
        if colour not in place:
            place[colour] = min(range(len(palette)), key=lambda number: _distance(palette[number], colour))
    indexed = b"".join(b"\0" + bytes(place[colour] for colour in line) for line in lines)
    return png[:8] + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(value for colour in palette for value in colour)),
            _chunk(b"IDAT", zlib.compress(indexed, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        yield png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        place += 12 + length


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _unfiltered(pixels: bytes, width: int) -> Iterator[bytearray]:
    """The lines of a picture, each of `width` bytes, as they were before PNG's filters."""
    above = bytearray(width)
    for start in range(0, len(pixels), width + 1):
        line = bytearray(pixels[start + 1 : start + 1 + width])
        _undo(pixels[start], line, above)
        yield line
        above = line


def _undo(filtered: int, line: bytearray, above: bytearray) -> None:
    for place in range(len(line)):
        left, corner = (line[place - 3], above[place - 3]) if place > 2 else (0, 0)
        predicted = 0
        if filtered == 1:
            predicted = left
        elif filtered == 2:
            predicted = above[place]
        elif filtered == 3:
            predicted = (left + above[place]) // 2
        elif filtered == 4:
            predicted = _paeth(left, above[place], corner)
        line[place] = (line[place] + predicted) & 255


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


def _distance(one: Colour, other: Colour) -> int:
    return sum((first - second) ** 2 for first, second in zip(one, other, strict=True))

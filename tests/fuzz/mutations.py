"""Changes in one place: of a value, a name, a header, a parameter, the path, the method, the body's bytes."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from typing import Any

from tests.fuzz.drafts import Draft, Raw, dumped

TEXTS = (
    "", " ", "x", "a" * 201, "x" * 5_000, "\0", "a\0b", "\r\n", "\u202eevil", "\ufeff", "\U0001f600" * 3, "\u0130",
    "é" * 100,
    "ﷺ", "\ud800", "\udfff", "a\ud83d", "0", "-1", "1e9", "0" * 31_000, "9" * 31_000, "null", "true", "NaN", "[]",
    "{}", "%00", "%ff",
    "%zz", "' OR 1=1 --", "=1+1", "${jndi:x}", "{{x}}", "<script>", "../../etc/passwd", "2026-02-30", "2026-04-01",
    "0000-00-00",
    "9999-12-31T23:59:60Z", "2026-04-01T12:00:00Z", "2026-04-01T12:00:00", "+05:45", "Europe/Berlin", "localtime",
    "a@b.example",
    "@", "a@" + "b" * 300 + ".example", '"q <x>" <a@b.example>', "a@bücher.example", "xn--zzzz--",
    "https://x.example/?a=b",
    "javascript:x", "http://[::1", "//x", "00000000-0000-0000-0000-000000000000",
    "0192abc0-def1-7000-8000-00000000000a",
    " - at `" * 3_000, "`x` - at `$.events", "opened", "EUR", "sent", "custom", "550 5.1.1 no such user",
)  # fmt: skip
PIECES = (
    b"0", b"-1", b"-0.0", b"1.5", b"0.1", b"1e400", b"-1e400", b"1e-400", b"1E+2", b"9007199254740993",
    b"18446744073709551616",
    b"-9223372036854775809", b"9" * 400, b"1" + b"0" * 31_000, b"0." + b"3" * 5_000, b"1e999999999", b"NaN",
    b"Infinity", b"-", b"01",
    b"+1", b"null", b"true", b"false", b"[]", b"{}", b"[[]]", b'""', b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\u0000"',
    b'"\xff"',
    b'"\xed\xa0\x80"', b'"\xc0\xaf"', b'"\x01"', b'"\\x"', b'"\\ud83d\\ude00"', b'{"":0}', b'{"\\ud800":1}',
    b'{"x\\u0000":1}',
    b'{"\\u0000":{"a":[null]}}', b"[" * 900 + b"]" * 900, b"[" * 100_000, b'{"a":' * 900 + b"0" + b"}" * 900, b"",
    b",", b'"',
    b"[" + b"0," * 20_000 + b"0]", b'"' + b"\\u0041" * 3_000 + b'"',
)  # fmt: skip
NAMES = (
    "", "x", "x\0", "\ud800", "\u202e", "$", "__proto__", "`", " - at `$.x", "x" * 50_000, " - at `" * 8_000,
    "unknown field `" * 500,
    "type", "id", "workspace", "events", "\U0001f600", "a b", "a.b", "a[0]",
)  # fmt: skip
HEADERS = (
    b"X-Request-Id", b"Expect", b"User-Agent", b"X-Forwarded-For", b"Forwarded", b"Accept", b"Cookie",
    b"Content-Type",
    b"Content-Encoding", b"Accept-Language", b"Range", b"If-None-Match", b"If-Modified-Since", b"Purpose",
    b"Sec-Purpose", b"Origin",
    b"Referer", b"Host", b"Authorization", b"Accept-Encoding", b"Upgrade", b"Connection", b"X-Anything",
    b"Postmeter-Principal",
    b"Postmeter-Source", b"Idempotency-Key", b"Via", b"TE", b"X-HTTP-Method-Override", b"Content-Language",
)  # fmt: skip
VALUES = (
    b"", b"\xff", b"\x80\x81", b"x\xc3\xa9", b"a\tb", b"\xed\xa0\x80", b"x" * 4_000, b"x" * 7_000, b"\xff" * 3_000,
    b"0", b"-1", b"text/plain",
    b"application/json; charset=\xff", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=",
    b"gzip", b"br", b"gzip, gzip",
    b"identity", b"100-continue", b"100-Continue", b"\xff100-continue", b"1.2.3.4", b"1.2.3.4:80, [2001:db8::1]:443",
    b"for=\"[::1]:x\"",
    b"for=" * 900, b"," * 5_000, b"Bearer", b"Bearer ", b"Bearer \xff", b"Basic Og==", b"Basic \xff", b"prefetch",
    b"close", b"h2c", b"*/*;q=9",
    b"bytes=0-", b"' OR 1=1", b"${x}", b"Googlebot/2.1 (+http://x)", b"\"", b"\\", b"%00", b"W/\"\xff\"",
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "X" * 300)
Change = Callable[[Draft, random.Random], str]


def places(value: Any, found: list[list[Any]] | None = None, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value within a JSON value, itself first."""
    ways = [way]
    if isinstance(value, dict):
        for name, inner in value.items():
            ways += places(inner, None, (*way, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:5]):
            ways += places(inner, None, (*way, index))
    return ways


def changed(value: Any, way: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """The value with another one at the end of a way; what is not on the way is shared."""
    if not way:
        return change(value)
    first, *rest = way
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[first] = changed(value[first], tuple(rest), change)
    return copy


def a_value(draft: Draft, chance: random.Random) -> str:
    """Another value of a field of the body."""
    way = chance.choice(places(draft.body)[1:] or [()])
    new = chance.choice(TEXTS) if chance.random() < 0.5 else Raw(chance.choice(PIECES))
    draft.body = changed(draft.body, way, lambda _: new)
    return f"value at {'.'.join(map(str, way))}"


def a_name(draft: Draft, chance: random.Random) -> str:
    """A field more, less, twice, or of another name."""
    objects = [way for way in places(draft.body) if isinstance(_at(draft.body, way), dict)]
    if not objects:
        return a_value(draft, chance)
    way = chance.choice(objects)

    def change(fields: dict[Any, Any]) -> dict[Any, Any]:
        copy, kind = dict(fields), chance.randrange(4)
        old = chance.choice(list(copy)) if copy else ""
        if kind == 0 and copy:
            del copy[old]
        elif kind == 1 and copy:
            copy[chance.choice(NAMES)] = copy.pop(old)
        elif kind == 2 and copy:
            copy[Raw(dumped(old))] = copy[old]  # twice
        else:
            copy[chance.choice(NAMES)] = chance.choice((1, "x", None, [], {}))
        return copy

    draft.body = changed(draft.body, way, change)
    return f"name at {'.'.join(map(str, way))}"


def _at(value: Any, way: tuple[Any, ...]) -> Any:
    for step in way:
        value = value[step]
    return value


def the_bytes(draft: Draft, chance: random.Random) -> str:
    """The body's bytes: cut, doubled, encoded otherwise, compressed, or not all there."""
    body = draft.content() or b""
    kind = chance.randrange(10)
    match kind:
        case 0:
            draft.body = body[: chance.randrange(len(body) + 1)]
        case 1:
            draft.body = body * 2
        case 2:
            draft.body = b"\xef\xbb\xbf" + body
        case 3:
            draft.body = body.decode("utf-8", "replace").encode("utf-16", "replace")
        case 4:
            draft.headers.append((b"Content-Encoding", b"gzip"))
            draft.body = gzip.compress(body, 1)
        case 5:
            draft.headers.append((b"Content-Encoding", b"gzip"))
            draft.body = gzip.compress(body, 1)[: chance.randrange(20, 60)]
        case 6:
            draft.headers.append((b"Content-Encoding", b"gzip"))
            draft.body = _BOMB
        case 7:
            place = chance.randrange(len(body) + 1)
            draft.body = body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :]
        case 8:
            draft.body = b" \n" * chance.choice((1, 10_000)) + body + b"\n\n"
        case _:
            draft.body = body
            draft.cut = chance.randrange(1, len(body)) if len(body) > 1 and chance.random() < 0.2 else None
    return f"bytes ({kind})"


_BOMB = gzip.compress(b" " * (40 << 20), 9)


def a_header(draft: Draft, chance: random.Random) -> str:
    """A header more, of bytes that nobody expects; one that is there may come twice."""
    if draft.headers and chance.random() < 0.15:
        draft.headers.append(chance.choice(draft.headers))
        return "header twice"
    name = chance.choice(HEADERS)
    draft.headers.append((name, chance.choice(VALUES)))
    return f"header {name.decode()}"


def a_parameter(draft: Draft, chance: random.Random) -> str:
    """A query parameter more, of another value, twice, or not encoded."""
    value: str | bytes = chance.choice(TEXTS)[:3_000]
    if chance.random() < 0.15:
        value = chance.choice((b"%", b"%zz", b"\xff", b"%ff%fe", b"a;b=c", b"[]", b"+", b"%00", b"%ed%a0%80"))
    if not draft.query or chance.random() < 0.2:
        draft.query.append(
            (chance.choice(("limit", "from", "page", "cursor", "x", "", "\0", "\ud800", "start_date")), value)
        )
        return "parameter more"
    place = chance.randrange(len(draft.query))
    name, old = draft.query[place]
    kind = chance.randrange(4)
    if kind == 0:
        draft.query.append((name, value))
    elif kind == 1:
        del draft.query[place]
    else:
        draft.query[place] = (name, value)
    return f"parameter {name!r} for {old[:30]!r}"


def the_path(draft: Draft, chance: random.Random) -> str:
    """A segment that is another one, empty, or too many; ids of others."""
    place = chance.randrange(1, len(draft.path))
    new = chance.choice(
        ("", "x", "%00", "%ff", "%ed%a0%80", "..", "%2e%2e", ".", "%2f", "x" * 3_000, "é", "{id}", "%", "a%20b", "*",
        ";x", "other",
         "0192abc0-def1-7000-8000-00000000000a", "src_00000000000000000000", "'", "\\", "\udcff", "%F0%9F%98%80",
         "-1", "0" * 2_000)
    )  # fmt: skip
    if chance.random() < 0.2:
        draft.path.insert(place, new)
    else:
        draft.path[place] = draft.path[place] + new if chance.random() < 0.2 else new
    return f"path at {place}"


def the_method(draft: Draft, chance: random.Random) -> str:
    """Another method."""
    # One DELETE would take away what all later requests for this source are about; they have a draft of their own.
    draft.method = chance.choice([one for one in METHODS if one != "DELETE" or "sources" not in draft.path])
    return f"method {draft.method[:10]}"


def change(draft: Draft, chance: random.Random) -> str:
    """Change the draft in one place; says where."""
    kinds: list[Change] = [a_header, a_header, a_parameter, the_path, the_method]
    if draft.body is not None:
        kinds = [a_header, a_header, a_parameter, the_path, the_method, the_bytes]
        kinds += [a_value] * 6 + [a_name] * 4 if not isinstance(draft.body, bytes) else [the_bytes]
    elif draft.query:
        kinds += [a_parameter] * 5
    return chance.choice(kinds)(draft, chance)

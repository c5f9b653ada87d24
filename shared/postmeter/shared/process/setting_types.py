"""What a setting may be: types that say in plain words what they take."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from postmeter.shared.auth.secret import Secret
from postmeter.shared.process import redis_url


@dataclass(frozen=True)
class Takes:
    """Beside a type: what a setting takes, in words, and the test of a value of that type.

    The test may raise ValueError with words of its own, which reveal nothing of a secret.
    """

    words: str
    test: Callable[[Any], bool]


def _between(least: float, most: float) -> Callable[[Any], bool]:
    # Not a number is not between anything.
    return lambda value: least <= value <= most


def _whole(least: int, most: int, words: str = "a whole number") -> Takes:
    return Takes(f"{words} from {least} to {most}", _between(least, most))


def _url_of(*schemes: str) -> Callable[[Any], bool]:
    def test(value: Secret) -> bool:
        try:
            return urlsplit(value.reveal()).scheme in schemes
        except ValueError:
            return False

    return test


def is_base(url: str, *schemes: str, path: bool = False) -> bool:
    """Whether it is a URL of one of the schemes that others begin with: a host, no user, query, fragment or blank.

    path: whether it may have one.
    """
    try:
        parts = urlsplit(url)
        more = parts.query or parts.fragment or parts.username or " " in url or (not path and parts.path.strip("/"))
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and not more
    except ValueError:
        return False


def is_read_by(reader: Callable[[str], Any]) -> Callable[[Any], bool]:
    """The test of a text, secret or not, that `reader` reads; it raises ValueError for one that is wrong."""

    def test(value: Secret | str) -> bool:
        try:
            reader(value.reveal() if isinstance(value, Secret) else value)
        except ValueError:
            return False
        return True

    return test


Port = Annotated[int, _whole(0, 65535, "a port")]
Positive = Annotated[int, _whole(1, 10**9)]
NotNegative = Annotated[int, _whole(0, 10**9)]
Bytes = Annotated[int, _whole(1, 2**60, "bytes,")]
NotNegativeBytes = Annotated[int, _whole(0, 2**60, "bytes,")]
Shards = Annotated[int, _whole(1, 256)]
Replicas = Annotated[int, _whole(0, 16)]
Keep = Annotated[int, _whole(1, 1200)]
"""Months or days."""
Seconds = Annotated[float, Takes("seconds from 0.001 to 86400", _between(0.001, 86400))]
"""For Postgres a time-out below a millisecond would be none at all."""
Interval = Annotated[float, Takes("seconds from 60 to 604800", _between(60, 604800))]
"""Between two rounds of a job that asks servers of others."""
Pause = Annotated[float, Takes("seconds from 0 to 86400", _between(0, 86400))]
PostgresDsn = Annotated[
    Secret,
    # Of sessions that only read, a server is never called `read-write`.
    Takes(
        "postgresql://user:password@host:port/database; with several hosts target_session_attrs=primary",
        lambda dsn: _url_of("postgresql", "postgres")(dsn) and "target_session_attrs=read-write" not in dsn.reveal(),
    ),
]
RedisUrl = Annotated[
    Secret, Takes(f"redis://, rediss:// or unix:// with the server's address, or {redis_url.FORM}", redis_url.check)
]

_WORDS = {int: "a whole number", float: "a number", bool: "true or false"}


def read(text: str, kind: Any) -> Any:
    """Return the value that `text` is for a type. Raises ValueError that says what the type takes."""
    base, takes = _parts(kind)
    if typing.get_origin(base) is Literal:
        text = text.lower()
    try:
        value = msgspec.convert(text, base, strict=False, dec_hook=_decode)
    except msgspec.ValidationError:
        raise ValueError(_refusal(text, base, takes)) from None
    if takes is not None and not takes.test(value):
        raise ValueError(_refusal(text, base, takes))
    return value


def _parts(kind: Any) -> tuple[Any, Takes | None]:
    if typing.get_origin(kind) is not Annotated:
        return kind, None
    return kind.__origin__, next((one for one in kind.__metadata__ if isinstance(one, Takes)), None)


def _refusal(text: str, base: Any, takes: Takes | None) -> str:
    if takes is not None:
        words = takes.words
    elif typing.get_origin(base) is Literal:
        words = " or ".join(typing.get_args(base))
    else:
        words = _WORDS.get(base, "a text")
    return f"takes {words}" if _is_secret(base) else f"takes {words}, not {text!r}"


def _is_secret(base: Any) -> bool:
    return base is Secret or (isinstance(base, types.UnionType) and Secret in typing.get_args(base))


def _decode(kind: type[Any], value: object) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError(kind)

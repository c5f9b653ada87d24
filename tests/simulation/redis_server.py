"""Redis, as far as the counting core asks it: streams, strings, hashes. It speaks its protocol to the real client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hiredis

from tests.simulation.loop import Loop
from tests.simulation.network import Wire

Fields = list[bytes]
NIL = object()


@dataclass
class Stream:
    """Entries by id, oldest first, and when each was added."""

    entries: list[tuple[tuple[int, int], Fields, float]] = field(default_factory=list)
    last: tuple[int, int] = (0, 0)
    added: int = 0
    trimmed: int = 0


@dataclass
class Text:
    """A simple reply."""

    text: str


@dataclass
class Refused:
    """An error as a reply."""

    text: str


class Redis:
    """Its data outlive it; with `loses`, but for what was written since the last whole second."""

    def __init__(self, loop: Loop, wall: Callable[[], float], unknown: Callable[[str], None], *, loses: bool) -> None:
        self.is_up = True
        self.streams: dict[bytes, Stream] = {}
        self.strings: dict[bytes, tuple[bytes, float]] = {}
        self.hashes: dict[bytes, dict[bytes, bytes]] = {}
        self.lost: list[Fields] = []
        self._loop = loop
        self._wall = wall
        self._unknown = unknown
        self._loses = loses
        self._blocked: list[tuple[RedisSession, list[tuple[bytes, tuple[int, int]]], int]] = []

    def accept(self, connection: Wire) -> RedisSession:
        return RedisSession(self, connection)

    def stop(self) -> None:
        self.is_up = False
        self._blocked.clear()

    def start(self) -> None:
        """Come back with what is on disk."""
        self.is_up = True
        if self._loses:
            synced = float(int(self._loop.now))
            for stream in self.streams.values():
                kept = [entry for entry in stream.entries if entry[2] < synced]
                self.lost += [entry[1] for entry in stream.entries[len(kept) :]]
                if len(kept) < len(stream.entries):
                    stream.added -= len(stream.entries) - len(kept)
                    stream.entries = kept
                    stream.last = kept[-1][0] if kept else (0, 0)
            self.strings = {key: one for key, one in self.strings.items() if one[1] < synced}

    def ask(self, session: RedisSession, command: list[bytes]) -> Any:
        """The reply; None: it comes later."""
        handler = getattr(self, f"_{command[0].decode().lower()}", None)
        if handler is None:
            self._unknown(f"Redis command {command}")
            return Refused("ERR unknown command")
        return handler(session, command[1:])

    def forget(self, session: RedisSession) -> None:
        self._blocked = [one for one in self._blocked if one[0] is not session]

    # -- commands

    def _ping(self, _: RedisSession, __: list[bytes]) -> Any:
        return Text("PONG")

    def _time(self, _: RedisSession, __: list[bytes]) -> Any:
        seconds, rest = divmod(self._wall(), 1)
        return [b"%d" % seconds, b"%d" % (rest * 1_000_000)]

    def _client(self, _: RedisSession, __: list[bytes]) -> Any:
        return Text("OK")

    def _get(self, _: RedisSession, given: list[bytes]) -> Any:
        found = self.strings.get(given[0])
        return NIL if found is None else found[0]

    def _set(self, _: RedisSession, given: list[bytes]) -> Any:
        self.strings[given[0]] = (given[1], self._loop.now)
        return Text("OK")

    def _hset(self, _: RedisSession, given: list[bytes]) -> Any:
        known = self.hashes.setdefault(given[0], {})
        known.update(zip(given[1::2], given[2::2], strict=True))
        return 0

    def _xadd(self, _: RedisSession, given: list[bytes]) -> Any:
        if given[1] != b"*":
            self._unknown(f"XADD {given}")
        stream = self.streams.setdefault(given[0], Stream())
        now = (int(self._wall() * 1000), 0)
        stream.last = now if now > stream.last else (stream.last[0], stream.last[1] + 1)
        stream.added += 1
        stream.entries.append((stream.last, given[2:], self._loop.now))
        for session, wanted, count in list(self._blocked):
            found = self._after(wanted, count)
            if found:
                self._blocked.remove((session, wanted, count))
                session.reply(found)
        return _text(stream.last)

    def _xread(self, session: RedisSession, given: list[bytes]) -> Any:
        options = {b"COUNT": 1 << 30, b"BLOCK": -1}
        place = 0
        while given[place].upper() != b"STREAMS":
            options[given[place].upper()] = int(given[place + 1])
            place += 2
        rest = given[place + 1 :]
        half = len(rest) // 2
        wanted = [(key, _id(after)) for key, after in zip(rest[:half], rest[half:], strict=True)]
        found = self._after(wanted, options[b"COUNT"])
        if found:
            return found
        if options[b"BLOCK"] < 0:
            return NIL
        waiting = (session, wanted, options[b"COUNT"])
        self._blocked.append(waiting)
        self._loop.call_later(options[b"BLOCK"] / 1000, self._waited, waiting)
        return None

    def _waited(self, waiting: Any) -> None:
        if any(one is waiting for one in self._blocked):
            self._blocked = [one for one in self._blocked if one is not waiting]
            waiting[0].reply(NIL)

    def _after(self, wanted: list[tuple[bytes, tuple[int, int]]], count: int) -> list[Any]:
        found = []
        for key, after in wanted:
            stream = self.streams.get(key)
            if stream is None or stream.last <= after:
                continue
            entries = [[_text(one), fields] for one, fields, _ in stream.entries if one > after][:count]
            if entries:
                found.append([key, entries])
        return found

    def _xinfo(self, _: RedisSession, given: list[bytes]) -> Any:
        stream = self.streams.get(given[1])
        if stream is None:
            return Refused("ERR no such key")
        ends = (stream.entries[0], stream.entries[-1]) if stream.entries else ()
        shown: list[Any] = [[_text(one), fields] for one, fields, _ in ends] or [NIL, NIL]
        return [
            *(b"length", len(stream.entries), b"last-generated-id", _text(stream.last)),
            *(b"entries-added", stream.added, b"first-entry", shown[0], b"last-entry", shown[1]),
        ]

    def _xrevrange(self, _: RedisSession, given: list[bytes]) -> Any:
        stream, high = self.streams.get(given[0], Stream()), _id(given[1])
        if given[2:] != [b"-", b"COUNT", b"1"]:
            self._unknown(f"XREVRANGE {given}")
        return [[_text(one), fields] for one, fields, _ in stream.entries if one <= high][-1:]

    def _xtrim(self, _: RedisSession, given: list[bytes]) -> Any:
        stream = self.streams.get(given[0])
        if given[1].upper() != b"MINID" or stream is None:
            return 0
        least = _id(given[-1])
        before = len(stream.entries)
        stream.entries = [entry for entry in stream.entries if entry[0] >= least]
        stream.trimmed += before - len(stream.entries)
        return before - len(stream.entries)


class RedisSession:
    """One client's connection: its commands are answered one after the other."""

    def __init__(self, redis: Redis, wire: Wire) -> None:
        self._redis = redis
        self._wire = wire
        self._reader = hiredis.Reader()
        self._queue: list[list[bytes]] = []
        self._is_blocked = self._is_closed = False

    def received(self, data: bytes) -> None:
        if self._is_closed:
            return
        self._reader.feed(data)
        while (command := self._reader.gets()) is not False:
            self._queue.append(command)
        self._go_on()

    def closed(self) -> None:
        self._is_closed = True
        self._redis.forget(self)

    def reply(self, found: Any) -> None:
        """What a blocked command has waited for."""
        self._is_blocked = False
        self._wire.answer(_encoded(found))
        self._go_on()

    def _go_on(self) -> None:
        replies = b""
        while self._queue and not self._is_blocked and not self._is_closed:
            found = self._redis.ask(self, self._queue.pop(0))
            if found is None:
                self._is_blocked = True
            else:
                replies += _encoded(found)
        if replies:
            self._wire.answer(replies)


def _text(entry: tuple[int, int]) -> bytes:
    return b"%d-%d" % entry


def _id(text: bytes) -> tuple[int, int]:
    milliseconds, _, number = text.partition(b"-")
    return int(milliseconds), int(number or 0)


def _encoded(reply: Any) -> bytes:
    if reply is NIL:
        return b"*-1\r\n"
    if isinstance(reply, Text):
        return b"+%b\r\n" % reply.text.encode()
    if isinstance(reply, Refused):
        return b"-%b\r\n" % reply.text.encode()
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    return b"*%d\r\n" % len(reply) + b"".join(_encoded(one) for one in reply)

"""Names of robots from public lists, as data: tells what kind of machine a user agent names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Any

from postmeter.aggregator.verdicts.agent_words import CRAWLER
from postmeter.aggregator.verdicts.programs import is_program
from postmeter.shared.errors import PostmeterError

MAX_NAMES = 50_000
SHORTEST = 4
"""Letters and digits of the shortest name that may stand anywhere in a user agent; shorter ones say too little."""
LONGEST = 200
KINDS = {"scanner": "scanner", "monitoring": "monitor", "social-preview": "preview", "feed-reader": "feed"}
"""Which tags of a list's entry say more than that it is a crawler, the first one that fits first."""
PASSED_OVER_TAGS = frozenset({"http-library", "browser-automation"})
_BLANKED = bytes(byte if chr(byte).isalnum() and byte < 128 else 32 for byte in range(256))
_ESCAPED = re.compile(r"\\([^A-Za-z0-9])")
_SPECIAL = frozenset("\\^$*+?{}[]|()")


class AgentNamesError(PostmeterError, ValueError):
    """A list of names that cannot be used; the message says which entry, and what is wrong with it."""


class AgentNames:
    """Finds names in user agents, wherever a word begins with one, or only at the beginning (`^` in the list)."""

    def __init__(self, names: Iterable[tuple[bytes, bool, str]]) -> None:
        """Each name as `words` gives it, whether it must stand first, and what kind of machine has it."""
        self._kinds: dict[bytes, str] = {}
        first: list[bytes] = []
        anywhere: dict[bytes, list[bytes]] = {}
        for name, leads, kind in names:
            self._kinds.setdefault(name, kind)
            if leads:
                first.append(name)
            else:
                anywhere.setdefault(name[:SHORTEST], []).append(name)
        self._first = tuple(first)
        self._anywhere = {start: tuple(found) for start, found in anywhere.items()}

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._kinds)

    def kind(self, agent: bytes) -> str | None:
        """The kind of machine that an agent, as `words` gives it, names; None: none. Linear in its length."""
        if agent.startswith(self._first, 1):
            return self._of(self._first, agent, 1)
        start = 1
        while start:
            names = self._anywhere.get(agent[start : start + SHORTEST])
            if names and agent.startswith(names, start):
                return self._of(names, agent, start)
            start = agent.find(b" ", start) + 1
        return None

    def _of(self, names: tuple[bytes, ...], agent: bytes, start: int) -> str:
        return next(self._kinds[name] for name in names if agent.startswith(name, start))

    @classmethod
    def read(cls, text: str) -> AgentNames:
        """Read a list: a JSON array of patterns, or of objects with `pattern` and, if any, `tags`. AgentNamesError.

        The form of github.com/monperrus/crawler-user-agents and of Crawler-Detect's raw lists. Of their regular
        expressions only literal text is taken, `^` in front of it, and `$` behind: what needs more is passed over,
        so that a list can cost no more than its length. So are people's programs (`programs`).
        """
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise AgentNamesError(f"not JSON: {error!s:.200}") from None
        if not isinstance(entries, list) or len(entries) > MAX_NAMES:
            raise AgentNamesError(f"an array of at most {MAX_NAMES} patterns is expected")
        names = cls(_names(entries))
        if not names._kinds:
            raise AgentNamesError("no pattern in it is a name")
        return names

    @classmethod
    @cache
    def shipped(cls) -> AgentNames:
        """Those of two lists that are installed with Postmeter, both under the MIT licence. Read once in a process."""
        from crawlerdetect.providers import crawlers

        tagged = resources.files("crawleruseragents").joinpath("crawler-user-agents.json").read_text()
        return cls(_names([*json.loads(tagged), *crawlers.data]))


def words(agent: bytes) -> bytes:
    """A user agent in lower case, all but letters and digits as one blank, and a blank at either end."""
    return b" %b " % b" ".join(agent.lower().translate(_BLANKED).split())


def _names(entries: list[Any]) -> Iterable[tuple[bytes, bool, str]]:
    for place, entry in enumerate(entries):
        pattern, tags = entry, list[Any]()
        if isinstance(entry, dict):
            pattern, tags = entry.get("pattern"), entry.get("tags") or []
        if not isinstance(pattern, str) or not isinstance(tags, list):
            raise AgentNamesError(f"entry {place} is neither a pattern nor an object that has one")
        name = _literal(pattern)
        if name is None or PASSED_OVER_TAGS.intersection(map(str, tags)):
            continue
        leads = pattern.startswith("^")
        if (len(name) >= SHORTEST or leads) and not name.isdigit() and not is_program(name):
            yield name.encode(), leads, next((kind for tag, kind in KINDS.items() if tag in tags), CRAWLER)


def _literal(pattern: str) -> str | None:
    """The words of a pattern that is nothing but text; None: it is more than that."""
    inner = pattern.removeprefix("^").removesuffix("$")
    if len(inner) > LONGEST or _SPECIAL.intersection(_ESCAPED.sub("", inner)):
        return None
    return words(_ESCAPED.sub(r"\1", inner).encode(errors="replace")).decode().strip() or None

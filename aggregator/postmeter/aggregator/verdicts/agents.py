"""The verdict that a user agent alone allows: by our own words (`agent_words`), public lists' names, and its form.

Programs that anybody may write (curl, HTTP libraries, headless browsers) are not among the machines: mail clients are
made of such parts too, and a scanner that wants to pass as a person does not say what it is anyway. Neither is what
says nothing (an empty agent, `Amazon CloudFront`: a CDN that hides the reader's), nor what Office and Apple's mail
programs say.
"""

from __future__ import annotations

import re

from postmeter.aggregator.verdicts.agent_names import AgentNames, words
from postmeter.aggregator.verdicts.agent_words import (
    ATTACKS,
    CLIENTS,
    COMPONENTS,
    CRAWLER,
    DEVICES,
    FIELD_WORDS,
    NAMES,
    PLATFORMS,
    PLAYERS,
    PROXIES,
    PROXY_WORDS,
)
from postmeter.aggregator.verdicts.programs import is_program
from postmeter.shared.stream.events import EventType, Verdict

Judgement = tuple[Verdict, str | None]
HUMAN: Judgement = (Verdict.HUMAN, None)
APPLE_MAIL_PRIVACY = b"Mozilla/5.0"
"""The whole user agent of Apple Mail Privacy Protection. Its addresses are also people's: opens only."""
FROZEN_AGENT = (
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135"
    b" Safari/537.36 Edge/12.246 Mozilla/5.0"
)
"""What Gmail fetches images ahead of the reader with, from Google's addresses."""
_OWN = AgentNames((name, False, kind) for kind, names in NAMES for name in names)
_BOT = re.compile(rb"(?<!ange)(?<!tweet)(?<!cu)bots?(?:[^a-z]|$)")
"""A word that ends like this names a robot; not the German `Angebot`, the reader Tweetbot, or CUBOT's phones."""
_ADDRESSES = (b"http:", b"https:", b"www.", b"//", b"mailto:", b"(at)")
_MAIL_ADDRESS = re.compile(rb"[a-z0-9]@[a-z]")
"""Where the owner of a robot is found: a URL, a host or an address of mail."""
MOZILLA = b" mozilla 5 0 "
_HOST = re.compile(rb"[a-z0-9-]+\.(?:com|net|org|io|de|ch|ru|ai|eu|fr|nl|info|dev)/")
"""A host in place of a name, with a version behind it."""
_BARE = re.compile(rb"[a-z0-9_.-]+")


def by_agent(kind: EventType, user_agent: bytes, names: AgentNames) -> Judgement:
    """The judgement that the user agent alone allows. Time is linear in its length."""
    if user_agent == APPLE_MAIL_PRIVACY:
        return (Verdict.PROXY, "apple_mpp") if kind is EventType.OPENED else HUMAN
    lowered = user_agent.lower()
    bare = _without_model(lowered)
    said = words(bare)
    named = _OWN.kind(said)
    if named:
        return Verdict.MACHINE, f"agent:{named}"
    for parts, text in ((PROXIES, bare), (PROXY_WORDS, said)):
        proxy = next((proxy for part, proxy in parts if part in text), None)
        if proxy:
            # A proxy fetches images; a click that says it is one is somebody else's.
            return (Verdict.PROXY, proxy) if kind is EventType.OPENED else (Verdict.MACHINE, proxy)
    machine = _machine(lowered, bare, said, names)
    return (Verdict.MACHINE, f"agent:{machine}") if machine else HUMAN


def _machine(lowered: bytes, bare: bytes, said: bytes, names: AgentNames) -> str | None:
    """The kind of machine: by a listed name, by the field's words, by what only robots write."""
    if b"whatsapp/" in lowered:
        # The card of a link that somebody is about to send (`A`, `i`, `N` behind the version), or a reader on a
        # telephone or at a desk.
        return None if b"device/" in lowered or b" electron/" in lowered else "preview"
    if b"-user/" in bare:
        return "assistant"
    listed = names.kind(said)
    field = next((machine for word, machine in FIELD_WORDS if word in said), None)
    if field or _BOT.search(bare):
        return field or listed or CRAWLER
    if listed:
        return listed
    if _holds(bare, ATTACKS):
        return "scanner"
    return CRAWLER if _is_robot(lowered, said) else None


def _is_robot(lowered: bytes, said: bytes) -> bool:
    """Whether an agent is written as only robots write theirs."""
    if lowered.startswith(b"mozilla/"):
        # A name behind `like Gecko;`, an address, or no platform at all: browsers write neither.
        added = b"khtml, like gecko; " in lowered and b"googleweblight" not in lowered
        return added or _has_address(lowered) or not (len(said) <= len(MOZILLA) or _holds(lowered, PLATFORMS))
    if b" subscribers" in said:
        return True
    if is_program(said.decode()) or _holds(lowered, DEVICES) or _holds(lowered, PLAYERS):
        return False
    return (
        _has_address(lowered)
        or bool(_HOST.match(lowered))
        or (bool(_BARE.fullmatch(lowered)) and not _holds(lowered, CLIENTS))
    )


def _has_address(lowered: bytes) -> bool:
    if _holds(lowered, COMPONENTS):
        return False
    return _holds(lowered, _ADDRESSES) or bool(_MAIL_ADDRESS.search(lowered))


def _holds(lowered: bytes, parts: tuple[bytes, ...]) -> bool:
    return any(part in lowered for part in parts)


def _without_model(lowered: bytes) -> bytes:
    """The agent without what stands in brackets about an Android device: telephones are named like anything."""
    place = lowered.find(b"android")
    opened = lowered.rfind(b"(", 0, max(place, 0))
    closed = lowered.find(b")", max(place, 0))
    return lowered[:opened] + b" " + lowered[closed + 1 :] if 0 <= opened < closed else lowered

"""Verdicts of clicks by the company they keep, the slow way: every rule of docs/verdicts.md looked at by itself."""

from collections.abc import Callable
from typing import NamedTuple

from postmeter.shared.storage.thresholds import Thresholds

SECOND = 1_000_000


class Seen(NamedTuple):
    """A click that by itself is a person's, or (`mark`) one of HEAD or the honeypot."""

    at: int
    url: str
    agent: bytes = b""
    mark: str = ""


def company(clicks: list[Seen], links: int, delivered: int | None, said: Thresholds) -> dict[Seen, str]:
    """Why clicks of one message are a machine's."""
    people = [click for click in clicks if not click.mark]
    scan, burst = said.scan_seconds * SECOND, said.burst_milliseconds * 1000
    found: dict[Seen, str] = {}
    if delivered is not None and said.early_seconds:
        early = range(delivered, delivered + said.early_seconds * SECOND + 1)
        found |= {click: "early" for click in people if click.at in early}
    for click in people:
        same = [other for other in clicks if other.agent == click.agent]
        near = [other for other in same if other.mark and scan and abs(other.at - click.at) <= scan]
        if any(other.mark == "head" for other in near):
            found[click] = "near_head"
        if any(other.mark == "honeypot" for other in near):
            found[click] = "near_honeypot"
    if said.all_links and links >= said.all_links and scan:
        for agent in {click.agent for click in people}:
            mine = [click for click in people if click.agent == agent]
            found |= _crowds(mine, scan, "all_links", lambda inside: _different(inside) >= links)
    if burst:
        found |= _crowds(people, burst, "burst", lambda inside: _is_burst(inside, said))
    return found


def _different(clicks: list[Seen]) -> int:
    return len({click.url for click in clicks if click.url})


def _is_burst(inside: list[Seen], said: Thresholds) -> bool:
    many = said.burst_clicks and len(inside) >= said.burst_clicks
    return bool(many or (said.burst_links and _different(inside) >= said.burst_links))


def _crowds(people: list[Seen], length: int, reason: str, crowded: Callable[[list[Seen]], bool]) -> dict[Seen, str]:
    found: dict[Seen, str] = {}
    for first in people:
        inside = [click for click in people if first.at <= click.at <= first.at + length]
        if crowded(inside):
            found |= dict.fromkeys(inside, reason)
    return found

"""The verdict of clicks by the company they keep: a pure function of one message's clicks (docs/verdicts.md)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from postmeter.shared.storage.thresholds import Thresholds

HEAD = "head"
HONEYPOT = "honeypot"
"""What is a machine's by itself, and says something of the clicks nearby."""
EARLY = "early"
AFTER_HEAD = "near_head"
NEAR_HONEYPOT = "near_honeypot"
ALL_LINKS = "all_links"
BURST = "burst"
RANK = {None: 0, EARLY: 1, AFTER_HEAD: 2, NEAR_HONEYPOT: 3, ALL_LINKS: 4, BURST: 5}
"""What a click is found to be by its company. More clicks only ever raise a click's rank, so that the order in which
they come does not matter; `early` alone depends on nothing but the delivery."""
JOINT = [reason for reason in RANK if reason is not None]
_MILLISECOND = 1000
_SECOND = 1000 * _MILLISECOND
_REASON = attrgetter("reason")

_Crowded = Callable[[int, int], bool]


class Click(NamedTuple):
    """A click as the history has it: microseconds, URL, user agent, and its verdict's reason until now.

    Of a URL only its hash is remembered: it is only asked whether two are the same.
    """

    at: int
    url: str | int | None
    agent: str | None
    reason: str | None


def reach(thresholds: Thresholds) -> int:
    """How many microseconds apart two clicks may be and still decide about each other."""
    burst = thresholds.burst_milliseconds if thresholds.burst_clicks or thresholds.burst_links else 0
    return max(burst * _MILLISECOND, thresholds.scan_seconds * _SECOND)


def may_decide(clicks: Sequence[Click], links: int, said: Thresholds) -> bool:
    """Whether these, in whatever order, may be more than single clicks: quicker than `judged`, of which most clicks of
    people need nothing. Says nothing of `early`.
    """
    number = len(clicks)
    return (
        0 < said.burst_clicks <= number
        or 0 < said.burst_links <= number
        or 0 < said.all_links <= links <= number
        or any(map(_REASON, clicks))
    )


def judged(clicks: Sequence[Click], links: int, delivered: int | None, said: Thresholds) -> list[str | None]:
    """The reason why each of these clicks is a machine's, None for a person's; of HEAD and honeypot, their own.

    clicks: in the order of time, those that count and that each by itself are a person's, and those of HEAD and the
    honeypot. links: how many different ones the message has; 0: not known. delivered: when the message was, None: not
    known. A click is judged by every stretch of time, of a rule's length, that it lies in. Where not all clicks nearby
    are given, one too few may be found to be a machine's, never one too many. Linear but for a logarithm.
    """
    reasons: list[str | None] = [_early(click.at, delivered, said) for click in clicks]
    scan = said.scan_seconds * _SECOND
    if scan:
        evidence = set(map(_REASON, clicks))
        for place in _near(clicks, HEAD, scan) if HEAD in evidence else ():
            reasons[place] = AFTER_HEAD
        for place in _near(clicks, HONEYPOT, scan) if HONEYPOT in evidence else ():
            reasons[place] = NEAR_HONEYPOT
        if 0 < said.all_links <= links:
            for places in _by_agent(clicks):
                _mark(reasons, clicks, places, scan, lambda _, different: different >= links, ALL_LINKS)
    burst = said.burst_milliseconds * _MILLISECOND
    if burst:
        _mark(reasons, clicks, _judgeable(clicks), burst, _burst(said), BURST)
    return [click.reason if is_evidence(click) else reason for click, reason in zip(clicks, reasons, strict=True)]


def is_evidence(click: Click) -> bool:
    """Whether it is a machine's by itself."""
    return click.reason in (HEAD, HONEYPOT)


def changed(clicks: Sequence[Click], reasons: Sequence[str | None]) -> Iterator[tuple[Click, str | None]]:
    """The clicks whose reason is not what it was, and what it is now. What others have shown stays."""
    for click, reason in zip(clicks, reasons, strict=True):
        if is_evidence(click) or reason == click.reason:
            continue
        if RANK[reason] > RANK[click.reason] or click.reason == EARLY:
            yield click, reason


def _early(at: int, delivered: int | None, said: Thresholds) -> str | None:
    if delivered is None or not said.early_seconds:
        return None
    return EARLY if 0 <= at - delivered <= said.early_seconds * _SECOND else None


def _burst(said: Thresholds) -> _Crowded:
    def crowded(number: int, different: int) -> bool:
        return 0 < said.burst_clicks <= number or 0 < said.burst_links <= different

    return crowded


def _near(clicks: Sequence[Click], evidence: str, scan: int) -> Iterator[int]:
    """The places of clicks near such evidence by the same user agent: a person may read while a scanner scans."""
    times: dict[str | None, list[int]] = {}
    for click in clicks:
        if click.reason == evidence:
            times.setdefault(click.agent, []).append(click.at)
    for place, click in enumerate(clicks):
        found = times.get(click.agent, [])
        after = bisect_left(found, click.at - scan)
        if after < len(found) and found[after] <= click.at + scan:
            yield place


def _judgeable(clicks: Sequence[Click]) -> list[int]:
    return [place for place, click in enumerate(clicks) if not is_evidence(click)]


def _by_agent(clicks: Sequence[Click]) -> Iterable[list[int]]:
    places: dict[str | None, list[int]] = {}
    for place in _judgeable(clicks):
        places.setdefault(clicks[place].agent, []).append(place)
    return places.values()


def _mark(
    reasons: list[str | None],
    every: Sequence[Click],
    places: Sequence[int],
    length: int,
    crowded: _Crowded,
    reason: str,
) -> None:
    """Give the reason to all clicks, of those at `places`, of each stretch that begins with one and is crowded."""
    inside: Counter[str | int] = Counter()
    end = marked = 0
    for start, place in enumerate(places):
        at, url = every[place].at, every[place].url
        while end < len(places) and every[places[end]].at - at <= length:
            later = every[places[end]].url
            if later:
                inside[later] += 1
            end += 1
        if crowded(end - start, len(inside)):
            marked = max(marked, start)
            for one in places[marked:end]:
                reasons[one] = reason
            marked = end
        if url:
            inside[url] -= 1
            if not inside[url]:
                del inside[url]

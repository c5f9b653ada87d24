"""The fold: what a flush's events change, summed up in memory before any of it is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from postmeter.aggregator.fold import texts
from postmeter.aggregator.fold.bounce_reasons import BounceReasons
from postmeter.aggregator.fold.choices import Chosen
from postmeter.aggregator.fold.cohorts import Cohorts
from postmeter.aggregator.fold.deltas import Deltas, counts_of
from postmeter.aggregator.fold.effects import (
    BUCKET,
    EFFECTS,
    HIT_COUNTERS,
    HIT_COUNTERS_OF,
    HIT_ENGAGEMENTS,
    INDEX,
    TRACKABLE,
    Effect,
)
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.fold.moments import NEVER, UNTIL_2000
from postmeter.aggregator.fold.rows import CLICK_ROW, OPEN_ROW, with_verdict
from postmeter.aggregator.fold.states import ERASED, PLAIN, Key, is_seen
from postmeter.aggregator.verdicts.agents import Judgement
from postmeter.aggregator.verdicts.company import HEAD, HONEYPOT, Click
from postmeter.aggregator.verdicts.judge import Judge, Told, told_of
from postmeter.aggregator.verdicts.networks import number_4
from postmeter.shared.privacy.levels import Ceilings, Level
from postmeter.shared.storage.rollups import COUNTERS
from postmeter.shared.storage.thresholds import Thresholds
from postmeter.shared.storage.verdict_reasons import stored
from postmeter.shared.stream.events import Engagement, EventType, Mark, State, Verdict
from postmeter.shared.stream.records import Event, Hit, WaitingEvent, WaitingHit
from postmeter.shared.text import hosts

HISTORY = (
    "workspace",
    "message",
    "at",
    "received_at",
    "type",
    "series",
    "bounce",
    "verdict",
    "verdict_reason",
    "reason",
    "link",
    "url",
    "user_agent_id",
    "user_agent",
    "network",
    "ip",
    "claimed_at",
    "counted",
    "source",
)
"""Columns of `event`, in the order of the rows in `Changes.history`."""
VERDICT = HISTORY.index("verdict")

OWN_COUNTS = "own_tracking_counts"
PROVIDER_COUNTS = "provider_tracking_counts"
"""Why an open or click is history only, as its verdict's reason (ADR 0020)."""

Place = tuple[int, int, str]
"""Where a click's row of the history is, in `Changes.plain_clicks`, or where that is negative, ~place, in
`Changes.history`; the click's series and URL."""

LinkClick = tuple[int, int, int, str, bool]
"""(workspace, the quarter-hour's start in microseconds, series, URL, whether a machine's)"""


@dataclass
class Sendings:
    """What a flush learns of sendings: by (workspace, series), each (time, message)."""

    by_series: dict[tuple[int, int], list[tuple[int, bytes]]] = field(default_factory=dict)

    def add(self, workspace: int, message: bytes, at: int, series: int) -> None:
        """A message of a series was sent."""
        self.by_series.setdefault((workspace, series), []).append((at, message))


@dataclass
class Progress:
    """How far a message has come: the highest state, the earliest times."""

    state: int = State.QUEUED
    sent_at: int | None = None
    delivered_at: int | None = None


@dataclass
class Changes:
    """Deltas of counters by quarter-hour, first engagements, rising states and rows of history.

    links: each click of a URL. clicks: by message, when those were that are judged by the company they keep: a
    person's, for all that is known, and those of HEAD and the honeypot; unclear: messages some of whose new clicks are
    not told in full. places: by message, time and user agent, where the rows of those clicks are that are a person's.
    relinked: clicks of URLs that count more or
    less often than they did. flags: of the messages that are not PLAIN. withheld: opens and clicks of which nothing may
    be kept, by level. last_opens: when messages were opened of which only the recipient's day is kept. judged: clicks
    of which their company changed the verdict, by reason. cohorts: new messages; what else moves messages is known when
    first engagements and states are written. said: what workspaces have said of levels. link_ids,
    user_agent_ids: numbers of texts; one that has none, or 0, stands in the history itself. keeps_networks: those of
    addresses are kept. history, plain_opens, plain_clicks: rows of the history, the latter of ordinary hits, packed
    (`rows`), but for workspaces in `shown`, whose rows are all told in full.
    """

    horizon: Horizon
    judge: Judge
    keeps_networks: bool = True
    link_ids: Mapping[tuple[int, str], int] = field(default_factory=dict)
    user_agent_ids: Mapping[tuple[int, bytes], int] = field(default_factory=dict)
    thresholds: Callable[[int], Thresholds] = lambda _: Thresholds()
    said: Mapping[int, Ceilings] = field(default_factory=dict)
    activity: Deltas = field(default_factory=dict)
    cohorts: Cohorts = field(default_factory=Cohorts)
    first: dict[Engagement, dict[Key, tuple[int, int]]] = field(default_factory=lambda: {e: {} for e in Engagement})
    progress: dict[Key, Progress] = field(default_factory=dict)
    sendings: Sendings = field(default_factory=Sendings)
    reasons: BounceReasons = field(default_factory=BounceReasons)
    links: list[LinkClick] = field(default_factory=list)
    clicks: dict[Key, list[Click]] = field(default_factory=dict)
    unclear: set[Key] = field(default_factory=set)
    places: dict[tuple[Key, int, str | None], list[Place]] = field(default_factory=dict)
    relinked: Counter[LinkClick] = field(default_factory=Counter)
    flags: Mapping[Key, int] = field(default_factory=dict)
    withheld: Counter[Level] = field(default_factory=Counter)
    last_opens: dict[Key, int] = field(default_factory=dict)
    judged: Counter[str] = field(default_factory=Counter)
    history: list[tuple[Any, ...]] = field(default_factory=list)
    plain_opens: list[bytes] = field(default_factory=list)
    plain_clicks: list[bytes] = field(default_factory=list)
    shown: frozenset[int] = frozenset()
    chosen: Chosen | None = None

    def count(self, workspace: int, at: int, series: int, counter: int, n: int = 1) -> None:
        """Add to a counter of the quarter-hour that `at` lies in."""
        counts_of(self.activity, (workspace, at - at % BUCKET, series), len(COUNTERS))[counter] += n

    def add_link(self, workspace: int, at: int, series: int, url: str, verdict: Verdict) -> None:
        """Count a click of a URL."""
        self.links.append((workspace, at - at % BUCKET, series, url, verdict is Verdict.MACHINE))

    def engage(
        self,
        kind: Engagement,
        key: Key,
        at: int,
        series: int,
        *,
        company: bool = True,
        click: Click | None = None,
        url: str = "",
    ) -> None:
        """Note an engagement; only the earliest of a message is kept. company: a click is judged by what is near it.

        click: itself, where it is told in full and the next row of the history is its own; url: its.
        """
        if kind is Engagement.CLICK:
            if click is not None and company:
                self._keep(key, click, ~len(self.history), series, url)
            elif company:
                self.clicks.setdefault(key, []).append(Click(at, None, None, None))
            if click is None or not company:
                self.unclear.add(key)
        first = self.first[kind]
        known = first.get(key)
        if known is None or at < known[0]:
            first[key] = (at, series)

    def add_hits(self, hits: Iterable[tuple[Key, Hit, int]], *, counted: bool = True, company: bool = True) -> None:
        """Count answered opens and clicks of (message, hit, series). The hot loop: a few microseconds a hit.

        Those that are not `counted` are history only: their provider's count. company: clicks are judged by what is
        near them.
        """
        low, high, now, kept = self.horizon.low, self.horizon.high, self.horizon.now, self.horizon.oldest["event"]
        judge, machine, since, width = self.judge.now(), Verdict.MACHINE, UNTIL_2000, BUCKET
        links, agents, shown, keeps = self.link_ids.get, self.user_agent_ids.get, self.shown, self.keeps_networks
        row_of, click = self.activity.get, self.links.append
        pack_open, add_open, pack_click = OPEN_ROW.pack, self.plain_opens.append, CLICK_ROW.pack
        opened, clicked = (
            (kind, self.first[engagement], HIT_COUNTERS_OF[kind]) for kind, engagement in HIT_ENGAGEMENTS.items()
        )
        for key, hit, series in hits:
            workspace, message = key
            at, claimed = hit.at, None
            if not low <= at < high:
                at, claimed = now, at
            url, user_agent, ip = hit.url, hit.user_agent, hit.ip
            kind, first, counters = clicked if url else opened
            number = number_4(ip)
            if type(hit) is Hit and counted and not hit.mark:
                verdict, why, stored_as = judge(kind, user_agent, hit.prefetch, ip, number)
                told = True
            else:
                said = judge(kind, user_agent, hit.prefetch, ip, number)
                (verdict, why, stored_as), told = self._mark(key, hit, at, series, said, counted=counted)
            if told:
                start = at - at % width
                bucket = (workspace, start, series)
                row = row_of(bucket) or counts_of(self.activity, bucket, len(COUNTERS))
                row[counters[verdict]] += 1
                if verdict is not machine and ((known := first.get(key)) is None or at < known[0]):
                    first[key] = (at, series)
                if url:
                    click((workspace, start, series, url, verdict is machine))
            agent = agents((workspace, user_agent))
            link = links((workspace, url)) if url else None
            if (
                agent and (link or not url) and stored_as is not None and number is not None and keeps
                and told and claimed is None and at >= kept and workspace not in shown
            ):  # fmt: skip
                if url:
                    place = len(self.plain_clicks)
                    self.plain_clicks.append(
                        pack_click(
                            9, 4, workspace, 16, message, 8, at - since, 2, kind, 8, series, 2, stored_as,
                            4, agent, 4, number >> 8, 8, link,
                        )
                    )  # fmt: skip
                else:
                    add_open(
                        pack_open(
                            8, 4, workspace, 16, message, 8, at - since, 2, kind, 8, series, 2, stored_as,
                            4, agent, 4, number >> 8,
                        )
                    )  # fmt: skip
            else:
                place = ~len(self.history)
                self._tell(hit, series, at, claimed, kind, (verdict, why), told=told)
            if url and company and told and verdict is not machine:
                self._keep(key, Click(at, hash(url), texts.user_agent(user_agent), None), place, series, url)

    def _tell(
        self, hit: Hit, series: int, at: int, claimed: int | None, kind: EventType, said: Judgement, *, told: bool
    ) -> None:
        """Add a hit to the history in full. told: it counts."""
        workspace = hit.workspace
        link = self.link_ids.get((workspace, hit.url)) or None
        agent = self.user_agent_ids.get((workspace, hit.user_agent)) or None
        self.history.append(
            (
                workspace,
                UUID(hit.message),
                at,
                None,
                kind,
                series,
                None,
                *stored(*said),
                None,
                link,
                None if link else hit.url or None,
                agent,
                None if agent else texts.user_agent(hit.user_agent),
                *self._stored_network(hit.ip),
                claimed,
                None if told else False,
                None,
            )
        )

    def _mark(self, key: Key, hit: Hit, at: int, series: int, said: Told, *, counted: bool) -> tuple[Told, bool]:
        """What is told, and whether it counts, of a hit that was judged before, that its provider counts, or that only
        machines make. The latter says something of others nearby. said: what is told of it by itself now.
        """
        verdict, why, _ = said
        if type(hit) is WaitingHit:
            verdict, why = Verdict(hit.verdict), hit.verdict_reason or None
        if not hit.mark:
            return told_of((verdict, why if counted else PROVIDER_COUNTS)), counted
        reason = HEAD if hit.mark == Mark.HEAD else HONEYPOT
        self.clicks.setdefault(key, []).append(Click(at, hash(hit.url), texts.user_agent(hit.user_agent), reason))
        self.first[Engagement.CLICK].setdefault(key, (NEVER, series))
        if hit.mark == Mark.HEAD:
            return told_of((Verdict.MACHINE, HEAD)), False
        return told_of((Verdict.MACHINE, HONEYPOT)), counted

    def _keep(self, key: Key, one: Click, place: int, series: int, url: str) -> None:
        """A click that is a person's, for all that is known, and the place of its row."""
        self.clicks.setdefault(key, []).append(one)
        self.places.setdefault((key, one.at, one.agent), []).append((place, series, url))

    def convict(self, key: Key, at: int, agent: str | None, reason: str) -> None:
        """Clicks of that time and user agent, which counted as a person's, are a machine's; none of them is written."""
        workspace, verdict = key[0], stored(Verdict.MACHINE, reason)
        for place, series, url in self.places.pop((key, at, agent), ()):
            self.judged[reason] += 1
            self.count(workspace, at, series, HIT_COUNTERS[EventType.CLICKED, Verdict.HUMAN], -1)
            self.count(workspace, at, series, HIT_COUNTERS[EventType.CLICKED, Verdict.MACHINE])
            if url:
                cell = (workspace, at - at % BUCKET, series, url)
                self.relinked[*cell, False] -= 1
                self.relinked[*cell, True] += 1
            if place < 0:
                row = self.history[~place]
                self.history[~place] = (*row[:VERDICT], *verdict, *row[VERDICT + 2 :])
            else:
                self.plain_clicks[place] = with_verdict(self.plain_clicks[place], verdict[0])

    def add_event(
        self, key: Key | None, event: Event, series: int, *, counted: bool = True, company: bool = True
    ) -> None:
        """Count an event told by the API or a webhook; `key` is its message, None for `received`.

        One that is not `counted`, an open or a click, is history only: ours count. company: as of `add_hits`.
        """
        kind = EventType(event.type)
        at = self.horizon.place(event.at, event.received)
        claimed = event.claimed if at == event.at else event.at
        effect, verdict, why = self._effect(kind, event)
        if not counted:
            effect, why = Effect(), OWN_COUNTS
        if effect.counter is not None:
            self.count(event.workspace, at, series, effect.counter)
        if kind is EventType.RECEIVED:
            self.count(event.workspace, at, series, INDEX["spam"], int(event.spam))
            self.count(event.workspace, at, series, INDEX["size_bytes"], event.size_bytes)
        if kind is EventType.CLICKED and event.url and counted and verdict is not None:
            self.add_link(event.workspace, at, series, event.url, verdict)
        elif (
            kind is EventType.DELIVERED
            and key is not None
            and is_seen(self.flags.get(key, PLAIN), self.said.get(key[0]))
        ):
            self.count(event.workspace, at, series, TRACKABLE)
        elif kind is EventType.BOUNCED:
            self.reasons.add(event.workspace, at, series, event.reason, event.bounce)
        if key is not None:
            if effect.engagement is not None and not self.flags.get(key, PLAIN) & ERASED:
                # Of one that was erased nobody knows whether it is the first: uniques count no message twice.
                click = Click(at, hash(event.url) if event.url else None, texts.user_agent(event.user_agent), None)
                self.engage(effect.engagement, key, at, series, company=company, click=click, url=event.url)
            self.rise(key, kind, effect.state, at)
            if kind is EventType.SENT:
                self.sendings.add(*key, at, series)
        received = self.horizon.place(event.received, event.received)
        link = self.link_ids.get((event.workspace, event.url)) or None
        agent = self.user_agent_ids.get((event.workspace, event.user_agent)) or None
        self.history.append(
            (
                event.workspace,
                UUID(key[1]) if key else None,
                at,
                None if received == at else received,
                kind,
                series,
                event.bounce or None,
                *((None, why) if verdict is None else stored(verdict, why)),
                event.reason or None,
                link,
                None if link else event.url or None,
                agent,
                None if agent else texts.user_agent(event.user_agent),
                *self._stored_network(event.ip),
                claimed,
                None if counted else False,
                event.mail.source if event.mail else None,
            )
        )

    def _effect(self, kind: EventType, event: Event) -> tuple[Effect, Verdict | None, str | None]:
        """What an event changes; of an open or a click with its verdict and the reason."""
        if kind not in HIT_ENGAGEMENTS:
            return EFFECTS[kind, event.bounce if kind is EventType.BOUNCED else 0], None, None
        if type(event) is WaitingEvent:
            verdict, why = Verdict(event.verdict), event.verdict_reason or None
        else:
            verdict, why = self.judge(kind, event.user_agent, False, event.ip)
        engagement = None if verdict is Verdict.MACHINE else HIT_ENGAGEMENTS[kind]
        return Effect(HIT_COUNTERS[kind, verdict], engagement), verdict, why

    def network(self, ip: str) -> str | None:
        """What is kept of an address."""
        return hosts.network(ip) if self.keeps_networks else None

    def _stored_network(self, ip: str) -> tuple[int | None, str | None]:
        """The same as it is stored: the first 24 bits of an IPv4 address as a number, anything else as its text."""
        number = number_4(ip) if self.keeps_networks else None
        return (None, self.network(ip)) if number is None else (number >> 8, None)

    def rise(self, key: Key, kind: EventType, state: State | None, at: int) -> None:
        """Note how far an event brings its message."""
        if state is None:
            return
        progress = self.progress.setdefault(key, Progress())
        progress.state = max(progress.state, state)
        if kind is EventType.SENT:
            progress.sent_at = at if progress.sent_at is None else min(at, progress.sent_at)
        elif kind is EventType.DELIVERED:
            progress.delivered_at = at if progress.delivered_at is None else min(at, progress.delivered_at)

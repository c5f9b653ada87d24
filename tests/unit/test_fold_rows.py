"""Rows of the history: packed at once or told in full, they say the same; what may not be kept stands in neither."""

from collections import Counter
from ipaddress import IPv4Address
from itertools import product
from typing import Any

import msgspec
import pytest

from postmeter.aggregator.fold.changes import HISTORY, PROVIDER_COUNTS, Changes
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.fold.restricted import kind_of
from postmeter.aggregator.fold.rows import CLICK, CLICK_ROW, OPEN, OPEN_ROW
from postmeter.aggregator.verdicts.agent_names import AgentNames
from postmeter.aggregator.verdicts.judge import Judge
from postmeter.aggregator.verdicts.networks import Networks
from postmeter.shared.storage.verdict_reasons import name_of, stored
from postmeter.shared.stream.events import Mark, Verdict
from postmeter.shared.stream.records import Hit, WaitingHit
from postmeter.shared.text import hosts
from tests.aggregation import AT, SECOND, hit
from tests.packed_rows import values

DAY = 86_400 * SECOND
NOW = AT + 30 * DAY
OLD, FUTURE = NOW - 70 * DAY, NOW + 400 * DAY
"""Older than the history, and out of the horizon."""
URLS = [f"https://shop.example/{n}" for n in range(3)]
LINKS = {(1, URLS[0]): 5, (1, URLS[1]): 0}
AGENTS = [b"Thunderbird", b"Mozilla/5.0", b"Beyond/1", b"Unknown/1", b""]
NUMBERS = {(1, AGENTS[0]): 3, (1, AGENTS[1]): 4, (1, AGENTS[2]): 0}
"""0: beyond the limit. Others are not known."""
IPS = ["203.0.113.77", "0.0.0.0", "255.255.255.255", "91.209.104.3", "::ffff:203.0.113.77", "2001:db8:a:b::1", "", "?"]
"""The fourth is a scanner's, whose name has no number."""
NETWORKS, NAMES = Networks.shipped(), AgentNames.shipped()
JUDGE = Judge(lambda: NETWORKS, lambda: NAMES)


HITS: list[Hit] = [
    hit(1, at, url=url, user_agent=agent, ip=ip, prefetch=prefetch, mark=mark)
    for at, url, agent, ip, prefetch, mark in product(
        [AT, OLD, FUTURE], ["", *URLS], AGENTS, IPS, [False, True], [0, Mark.HEAD, Mark.HONEYPOT]
    )
    if url or not mark
]
HITS += [
    WaitingHit(**msgspec.structs.asdict(one), verdict=int(verdict), verdict_reason=reason)
    for one in HITS
    for verdict, reason in [(Verdict.HUMAN, ""), (Verdict.MACHINE, "early"), (Verdict.MACHINE, "network:own")]
    if not one.prefetch
]
"""All that there are."""


def fold(found: list[Hit], *, shown: frozenset[int], keeps: bool, counted: bool) -> Changes:
    changes = Changes(
        Horizon({"event": 1}, NOW), JUDGE, keeps_networks=keeps, link_ids=LINKS, user_agent_ids=NUMBERS, shown=shown
    )
    changes.add_hits([((1, one.message), one, 7) for one in found], counted=counted)
    return changes


def in_full(changes: Changes) -> list[dict[str, Any]]:
    """What the rows say that are told in full."""
    rows = [dict(zip(HISTORY, row, strict=True)) for row in changes.history]
    return [
        {name: value for name, value in (row | {"message": row["message"].bytes}).items() if value is not None}
        for row in rows
    ]


def packed(changes: Changes) -> list[dict[str, Any]]:
    """What the packed ones say."""
    opens = [values(OPEN, OPEN_ROW, row) for row in changes.plain_opens]
    return opens + [values(CLICK, CLICK_ROW, row) for row in changes.plain_clicks]


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("counted", [True, False])
def test_a_row_says_the_same_packed_or_in_full(keeps: bool, counted: bool) -> None:
    one = fold(HITS, shown=frozenset(), keeps=keeps, counted=counted)
    other = fold(HITS, shown=frozenset({1}), keeps=keeps, counted=counted)
    assert bool(packed(one)) is (keeps and counted)
    assert packed(other) == []
    said = Counter(frozenset(row.items()) for row in packed(one) + in_full(one))
    assert said == Counter(frozenset(row.items()) for row in in_full(other))
    assert (one.activity, one.first, one.links, one.clicks) == (other.activity, other.first, other.links, other.clicks)
    assert all(row["at"] >= one.horizon.oldest["event"] for row in packed(one))
    for told, row in zip(HITS, in_full(other), strict=True):
        network = str(IPv4Address(row["network"] << 8)) if "network" in row else row.get("ip")
        assert network == (hosts.network(told.ip) if keeps else None)
        assert row.get("counted", True) is (counted and told.mark != Mark.HEAD)
        if not counted and not told.mark:
            assert name_of(row["verdict"]) == PROVIDER_COUNTS
        elif type(told) is Hit and not told.mark:
            said_of = stored(*JUDGE(kind_of(told), told.user_agent, told.prefetch, told.ip))
            assert (row["verdict"], row.get("verdict_reason")) == said_of


def test_an_ordinary_hit_is_packed() -> None:
    changes = fold([hit(1), hit(1, url=URLS[0])], shown=frozenset(), keeps=True, counted=True)
    assert [row["link"] for row in packed(changes) if "link" in row] == [5]
    assert len(changes.plain_opens) == 1
    assert changes.history == []

"""Clicks settled flush by flush, before they are written, against a plain judge that sees all of them at once."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from postmeter.aggregator.fold import engagements
from postmeter.aggregator.fold.changes import HISTORY, Changes
from postmeter.aggregator.fold.clicks import settle
from postmeter.aggregator.fold.effects import BUCKET, INDEX
from postmeter.aggregator.fold.horizon import Horizon
from postmeter.aggregator.fold.moments import NEVER
from postmeter.aggregator.fold.states import Known
from postmeter.aggregator.verdicts.agent_names import AgentNames
from postmeter.aggregator.verdicts.judge import Judge
from postmeter.aggregator.verdicts.networks import Networks
from postmeter.shared.storage.thresholds import Thresholds
from postmeter.shared.storage.verdict_reasons import name_of
from postmeter.shared.stream.events import Mark, Verdict
from postmeter.shared.stream.records import Hit
from tests.aggregation import AT, SECOND, hit, message
from tests.company import Seen, company
from tests.packed_rows import click_of, engagement_of

KEY = (1, message(1))
SERIES = 7
URLS = [f"https://shop.example/{n}" for n in range(3)]
AGENTS = [b"Mozilla/5.0 (X11; Linux x86_64) One/1", b"Mozilla/5.0 (X11; Linux x86_64) Two/2"]
SAID = Thresholds(burst_clicks=3, burst_links=2, burst_milliseconds=700, all_links=2, scan_seconds=4)
NETWORKS, NAMES = Networks.shipped(), AgentNames.shipped()
NUMBERS = {(1, agent): n for n, agent in enumerate(AGENTS, 1)}
LINKS = {(1, url): n for n, url in enumerate(URLS[:2], 1)}
"""One URL has no number: rows of its clicks are told in full."""

clicks = st.builds(
    lambda quarter, url, agent, mark: hit(1, AT + quarter * SECOND // 4, url=url, user_agent=agent, mark=mark),
    st.integers(0, 24),
    st.sampled_from(URLS),
    st.sampled_from(AGENTS),
    st.sampled_from([0] * 10 + [Mark.HEAD, Mark.HONEYPOT]),
)


class Counted:
    """What flushes of one message's clicks have come to: rows of the history, sums, what is known of the message."""

    def __init__(self, links: int, delivered: int | None, said: Thresholds) -> None:
        self.said = said
        self.known = Known(SERIES, AT, delivered, 0, links=links)
        self.rows: list[tuple[int, str, str, int, bool]] = []
        self.sums: Counter[str] = Counter()
        self.by_link: Counter[tuple[str, bool]] = Counter()
        self.engaged: int | None = None

    def flush(self, hits: list[Hit]) -> None:
        changes = Changes(
            Horizon({"event": 25}),
            Judge(lambda: NETWORKS, lambda: NAMES),
            link_ids=LINKS,
            user_agent_ids=NUMBERS,
            thresholds=lambda _: self.said,
        )
        changes.add_hits([(KEY, one, SERIES) for one in hits])
        states = {KEY: self.known}
        settled = settle(changes, states)
        found = engagements.fold(changes, states, self.said.early_seconds * SECOND, settled.corrected)
        for at in [engagement_of(row)["at"] for row in found.new] + [at for *_, at in found.moved]:
            self.engaged = at
        self._write(changes)
        for (at, agent, was), reason in settled.older.get(KEY, {}).items():
            self._correct(at, agent or "", was, reason)
        for counts in changes.activity.values():
            self.sums.update(
                {name: counts[INDEX[name]] for name in ("human_clicks", "machine_clicks", "unique_clicks")}
            )
        for _, bucket, series, url, machine in changes.links:
            assert (bucket % BUCKET, series) == (0, SERIES)
            self.by_link[url, machine] += 1
        for (*_, url, machine), n in changes.relinked.items():
            self.by_link[url, machine] += n

    def _write(self, changes: Changes) -> None:
        urls = {n: one for (_, one), n in LINKS.items()}
        agents = {n: one.decode() for (_, one), n in NUMBERS.items()}
        for row in map(click_of, changes.plain_clicks):
            self.rows.append((row["at"], urls[row["link"]], agents[row["user_agent_id"]], row["verdict"], True))
        for values in changes.history:
            told = dict(zip(HISTORY, values, strict=True))
            url, by = told["url"] or urls[told["link"]], told["user_agent"] or agents[told["user_agent_id"]]
            self.rows.append((told["at"], url, by, told["verdict"], told["counted"] is not False))

    def _correct(self, at: int, agent: str, was: str | None, reason: str | None) -> None:
        """What the statement `judge` does."""
        assert reason is not None  # deliveries stay as they are
        for place, (then, url, by, verdict, counted) in enumerate(self.rows):
            if (then, by, name_of(verdict)) == (at, agent, was) and counted:
                self.rows[place] = (then, url, by, Verdict.MACHINE | _shifted(reason), counted)
                if was is None:
                    self.sums.update({"human_clicks": -1, "machine_clicks": 1})
                    self.by_link[url, False] -= 1
                    self.by_link[url, True] += 1


def _shifted(reason: str) -> int:
    return next(n for n in range(0, 4096, 4) if n and name_of(n) == reason)


@settings(max_examples=300, deadline=None)
@given(
    flushes=st.lists(st.lists(clicks, max_size=6), max_size=5),
    links=st.integers(0, 3),
    early=st.sampled_from([0, 2]),
    delivered=st.none() | st.integers(0, 20).map(lambda n: AT + n * SECOND // 2),
)
def test_however_clicks_are_cut_into_flushes_they_are_what_all_of_them_together_are(
    flushes: list[list[Hit]], links: int, delivered: int | None, early: int
) -> None:
    said = SAID._replace(early_seconds=early)
    counted = Counted(links, delivered, said)
    for hits in flushes:
        counted.flush(hits)
    every = [one for hits in flushes for one in hits]
    marks = {int(Mark.HEAD): "head", int(Mark.HONEYPOT): "honeypot", 0: ""}
    seen = [Seen(one.at, one.url, one.user_agent, marks[int(one.mark)]) for one in every]
    found = company(seen, links, delivered, said)
    reasons = [one.mark or found.get(one) for one in seen]
    assert Counter((at, url, agent, name_of(verdict)) for at, url, agent, verdict, _ in counted.rows) == Counter(
        (one.at, one.url, one.agent.decode(), reason) for one, reason in zip(seen, reasons, strict=True)
    )
    people = [one.at for one, reason in zip(seen, reasons, strict=True) if reason is None]
    machines = sum(reason is not None and reason != "head" for reason in reasons)
    assert counted.sums["human_clicks"] == len(people)
    assert counted.sums["machine_clicks"] == machines
    assert counted.sums["unique_clicks"] == bool(people)
    assert counted.engaged == (min(people, default=NEVER) if every else None)
    by_link = Counter(
        (one.url, reason is not None) for one, reason in zip(seen, reasons, strict=True) if reason != "head"
    )
    assert +counted.by_link == by_link
    assert sorted((one.at, one.reason or "") for one in counted.known.clicks or ()) == sorted(
        (one.at, reason or "") for one, reason in zip(seen, reasons, strict=True)
    )

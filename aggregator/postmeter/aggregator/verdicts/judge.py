"""The verdict of one hit, by what it says of itself and where it comes from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from postmeter.aggregator.verdicts.agent_names import AgentNames
from postmeter.aggregator.verdicts.agents import FROZEN_AGENT, Judgement, by_agent
from postmeter.aggregator.verdicts.networks import GOOGLE, Networks, number_4
from postmeter.shared.storage.verdict_reasons import stored
from postmeter.shared.stream.events import EventType, Verdict

Told = tuple[Verdict, str | None, int | None]
"""A judgement, and the number that it is stored as; None: its reason has none (`verdict_reasons`)."""
REMEMBERED = 65_536


def told_of(judgement: Judgement) -> Told:
    """With the number that it is stored as."""
    number, unnumbered = stored(*judgement)
    return (*judgement, number if unnumbered is None else None)


PREFETCH = told_of((Verdict.MACHINE, "prefetch"))
GMAIL_PREFETCH = told_of((Verdict.MACHINE, "gmail_prefetch"))


class Judge:
    """Judges hits. `networks` and `names` give the lists known at the moment; they may change while it works."""

    def __init__(self, networks: Callable[[], Networks], names: Callable[[], AgentNames]) -> None:
        self._networks = networks
        self._names = names
        self._judged_by = names()
        self._agents: dict[tuple[EventType, bytes], Told] = {}

    def __call__(self, kind: EventType, user_agent: bytes, prefetch: bool, ip: str) -> Judgement:
        """(verdict, named reason or None) of an open or a click. Linear in what it is given, and remembered.

        A network says less than a user agent that names itself, but more than one that could be anybody's: who
        looks like a person from a scanner's network is the scanner.
        """
        return self.now()(kind, user_agent, prefetch, ip, number_4(ip))[:2]

    def now(self) -> Callable[[EventType, bytes, bool, str, int | None], Told]:
        """The same by the lists known at this moment: quicker, for many hits between which nothing is awaited.

        Is told the address' `number_4`, too.
        """
        names, networks = self._names(), self._networks()
        if names is not self._judged_by:
            self._agents.clear()
            self._judged_by = names
        agents, remember, human = self._agents.get, self._remember, Verdict.HUMAN
        edges_4, names_4, of_6 = networks.edges_4, networks.names_4, networks.of_6

        def judged(kind: EventType, user_agent: bytes, prefetch: bool, ip: str, number: int | None) -> Told:
            if prefetch:
                return PREFETCH
            found = agents((kind, user_agent)) or remember(kind, user_agent)
            if found[0] is not human:
                return found
            network = of_6(ip) if number is None else names_4[bisect_right(edges_4, number) - 1]
            if network is None:
                return found
            if network != GOOGLE:
                return told_of((Verdict.MACHINE, f"network:{network}"))
            # Google's own addresses are its users' too; only what fetches ahead has this agent.
            return GMAIL_PREFETCH if kind is EventType.OPENED and user_agent == FROZEN_AGENT else found

        return judged

    def _remember(self, kind: EventType, user_agent: bytes) -> Told:
        if len(self._agents) >= REMEMBERED:
            self._agents.clear()
        found = self._agents[kind, user_agent] = told_of(by_agent(kind, user_agent, self._judged_by))
        return found

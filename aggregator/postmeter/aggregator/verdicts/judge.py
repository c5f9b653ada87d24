"""The verdict of one hit, by what it says of itself and where it comes from."""

from __future__ import annotations

from collections.abc import Callable

from postmeter.aggregator.verdicts.agent_names import AgentNames
from postmeter.aggregator.verdicts.agents import FROZEN_AGENT, Judgement, by_agent
from postmeter.aggregator.verdicts.networks import GOOGLE, Networks, number_4
from postmeter.shared.stream.events import EventType, Verdict

PREFETCH: Judgement = (Verdict.MACHINE, "prefetch")
GMAIL_PREFETCH: Judgement = (Verdict.MACHINE, "gmail_prefetch")
REMEMBERED = 65_536


class Judge:
    """Judges hits. `networks` and `names` give the lists known at the moment; they may change while it works."""

    def __init__(self, networks: Callable[[], Networks], names: Callable[[], AgentNames]) -> None:
        self._networks = networks
        self._names = names
        self._judged_by = names()
        self._agents: dict[tuple[EventType, bytes], Judgement] = {}

    def __call__(self, kind: EventType, user_agent: bytes, prefetch: bool, ip: str) -> Judgement:
        """(verdict, named reason or None) of an open or a click. Linear in what it is given, and remembered.

        A network says less than a user agent that names itself, but more than one that could be anybody's: who
        looks like a person from a scanner's network is the scanner.
        """
        return self.now()(kind, user_agent, prefetch, ip, number_4(ip))

    def now(self) -> Callable[[EventType, bytes, bool, str, int | None], Judgement]:
        """The same by the lists known at this moment: quicker, for many hits between which nothing is awaited.

        Is told the address' `number_4`, too.
        """
        names = self._names()
        if names is not self._judged_by:
            self._agents.clear()
            self._judged_by = names
        agents, network_of, remember, human = self._agents.get, self._networks().of, self._remember, Verdict.HUMAN

        def judged(kind: EventType, user_agent: bytes, prefetch: bool, ip: str, number: int | None) -> Judgement:
            if prefetch:
                return PREFETCH
            found = agents((kind, user_agent)) or remember(kind, user_agent)
            if found[0] is not human:
                return found
            network = network_of(ip, number)
            if network is None:
                return found
            if network != GOOGLE:
                return Verdict.MACHINE, f"network:{network}"
            # Google's own addresses are its users' too; only what fetches ahead has this agent.
            return GMAIL_PREFETCH if kind is EventType.OPENED and user_agent == FROZEN_AGENT else found

        return judged

    def _remember(self, kind: EventType, user_agent: bytes) -> Judgement:
        if len(self._agents) >= REMEMBERED:
            self._agents.clear()
        found = self._agents[kind, user_agent] = by_agent(kind, user_agent, self._judged_by)
        return found

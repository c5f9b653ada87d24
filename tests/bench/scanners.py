"""Scanners of mail, and the people whose mail they scan."""

from collections.abc import Iterable, Iterator

from postmeter.shared.stream.events import Mark
from tests.bench.clients import BROWSERS, CLOUDS, LIBRARIES, MIMECAST, NAMED, OFFICES, PROOFPOINT
from tests.bench.letters import HIDDEN, HOUR, MINUTE, SECOND, Act
from tests.bench.readers import Readers

CAUGHT = 0.8
"""How many scanners of a letter with a hidden link follow it too; the others look at what is shown."""


class Scanned(Readers):
    """Mail to an office: scanned around its delivery (or much later), read by somebody in the end."""

    def _links(self) -> list[int]:
        """What a scanner follows: all links, in the order of the mail; the hidden one stands last."""
        caught = self._letter.honeypot and self._noise.random() < CAUGHT
        return [*range(self._letter.links), *([HIDDEN] if caught else [])]

    def _soon(self) -> int:
        noise = self._noise
        wait = noise.randrange(2 * SECOND, 90 * SECOND) if noise.random() < 0.7 else noise.randrange(2 * HOUR)
        return self._letter.delivered + wait

    def _scan(self, who: str, agents: list[str], networks: list[str], at: int, step: int) -> Iterator[Act]:
        """The images and every link, `step` microseconds apart at most."""
        noise = self._noise
        agent, ip = noise.choice(agents), self._address(networks)
        if noise.random() < 0.6:
            yield self._act(who, "machine", at, None, agent, ip)
        for link in self._links():
            at += noise.randrange(1000, step)
            yield self._act(who, "machine", at, link, agent, ip)

    def _read_after(self, scan: Iterable[Act]) -> Iterator[Act]:
        yield from scan
        yield from self.person(OFFICES)

    def named_scanner(self) -> Iterator[Act]:
        return self._read_after(self._scan("scanner with a name", NAMED, CLOUDS, self._soon(), 2 * SECOND))

    def library_scanner(self) -> Iterator[Act]:
        return self._read_after(self._scan("scanner by an HTTP library", LIBRARIES, CLOUDS, self._soon(), 2 * SECOND))

    def networked_scanner(self) -> Iterator[Act]:
        networks = PROOFPOINT + MIMECAST
        return self._read_after(self._scan("scanner of a known network", BROWSERS, networks, self._soon(), 2 * SECOND))

    def _disguised(self, at: int) -> Iterator[Act]:
        step = SECOND // max(2, self._letter.links)
        return self._scan("scanner like a person", BROWSERS, CLOUDS, at, step)

    def disguised_scanner(self) -> Iterator[Act]:
        """Looks like a browser, in a cloud: all links within a second."""
        return self._read_after(self._disguised(self._soon()))

    def sampling_scanner(self) -> Iterator[Act]:
        """The same, but it follows the first link only: hard to tell for anybody."""
        at = self._letter.delivered + self._noise.randrange(2 * SECOND, 90 * SECOND)
        acts = self._scan("scanner like a person, first link", BROWSERS, CLOUDS, at, SECOND)
        return self._read_after(act for act in acts if not act.link)

    def heading_scanner(self) -> Iterator[Act]:
        """Asks HEAD of each link; what it wants to see of that, it gets a moment later."""
        noise, at = self._noise, self._soon()
        agent, ip = noise.choice(BROWSERS + LIBRARIES), self._address(CLOUDS)
        who, wants = "scanner that asks HEAD first", noise.choice([0.0, 0.5, 1.0])
        for link in self._links():
            at += noise.randrange(1000, 3 * SECOND)
            yield self._act(who, "machine", at, link, agent, ip, mark=Mark.HEAD)
            if noise.random() < wants:
                got = at + noise.randrange(20_000, SECOND)
                yield self._act(who, "machine", got, link, agent, ip)
        yield from self.person(OFFICES)

    def inline_scanner(self) -> Iterator[Act]:
        """Scans before it lets the mail through, or while: within two seconds of the delivery, some links or all."""
        noise = self._noise
        at = self._letter.delivered + noise.randrange(-2 * SECOND, 1_500_000)
        agent, ip = noise.choice(BROWSERS), self._address(CLOUDS)
        links = self._links()
        for link in links if noise.random() < 0.6 else links[:1]:
            yield self._act("scanner at delivery", "machine", at, link, agent, ip)
            at += noise.randrange(5000, 400_000)
        yield from self.person(OFFICES)

    def slow_scanner(self) -> Iterator[Act]:
        """Spreads its clicks over a minute in no order, half of them each from another address with another agent."""
        noise, begun, links = self._noise, self._soon(), self._links()
        turns = noise.random() < 0.5
        agent, ip = noise.choice(BROWSERS), self._address(CLOUDS)
        for link in noise.sample(links, len(links)):
            if turns:
                agent, ip = noise.choice(BROWSERS), self._address(CLOUDS)
            at = begun + noise.randrange(MINUTE)
            yield self._act("scanner over a minute", "machine", at, link, agent, ip)
        yield from self.person(OFFICES)

    def hurried_reader(self) -> Iterator[Act]:
        """Clicks while a scanner scans: within five seconds before or after one of its clicks."""
        noise = self._noise
        scan = list(self._disguised(self._soon()))
        yield from scan
        if not self._letter.links:
            return
        among = noise.choice(scan).at
        agent, ip = noise.choice(BROWSERS), self._address(OFFICES)
        clicked = max(among + noise.randrange(-5 * SECOND, 5 * SECOND), self._letter.delivered + 3 * SECOND)
        opened = max(clicked - noise.randrange(2 * SECOND, 20 * SECOND), self._letter.delivered + SECOND)
        who = "person while a scanner scans"
        yield self._act(who, "human", opened, None, agent, ip)
        yield self._act(who, "human", clicked, noise.randrange(self._letter.links), agent, ip)

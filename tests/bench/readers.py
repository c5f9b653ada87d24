"""People, and the proxies that fetch for them."""

from collections.abc import Iterator

from postmeter.shared.stream.events import Mark
from tests.bench.clients import (
    APPLE,
    BROWSERS,
    CHROME,
    CLOUDS,
    GMAIL,
    GMAIL_PREFETCH,
    GOOGLE,
    HOMES,
    MAIL_APPS,
    OFFICE_PROBE,
    OFFICES,
    OUTLOOK,
    PREVIEWS,
    READERS,
    SAFARI,
    YAHOO,
    YAHOOS,
)
from tests.bench.letters import HOUR, MINUTE, SECOND, Act, Reception


class Readers(Reception):
    """Each public method is one kind of recipient."""

    def _clicks(self, at: int, networks: list[str], browsers: list[str], share: float = 0.2) -> Iterator[Act]:
        """A reader follows one link, seldom some more: after reading on, or all at once into tabs of the browser."""
        noise = self._noise
        if noise.random() > share or not self._letter.links:
            return
        agent, ip = noise.choice(browsers), self._address(networks)
        hurried = noise.random() < 0.1
        number = min(self._letter.links, 3 if hurried else noise.choice([1, 1, 1, 1, 2, 3]))
        who = "person, links into tabs" if hurried and number > 1 else "person"
        at += noise.randrange(3 * SECOND, 2 * MINUTE)
        for link in noise.sample(range(self._letter.links), number):
            yield self._act(who, "human", at, link, agent, ip)
            if noise.random() < 0.05:
                again = at + noise.randrange(80_000, 600_000)
                yield self._act("person, double click", "human", again, link, agent, ip)
            at += noise.randrange(400_000, 1_500_000) if hurried else noise.randrange(8 * SECOND, 5 * MINUTE)

    def person(self, networks: list[str] = HOMES) -> Iterator[Act]:
        """Reads in a mail program or in a browser, sometimes twice."""
        noise = self._noise
        at, agent, ip = self._read_at(), noise.choice(READERS + BROWSERS), self._address(networks)
        if noise.random() > 0.5:
            return
        yield self._act("person", "human", at, None, agent, ip)
        yield from self._clicks(at, networks, BROWSERS)
        if noise.random() < 0.3:
            yield self._act("person", "human", at + noise.randrange(HOUR, 3 * HOUR), None, agent, ip)

    def app_reader(self) -> Iterator[Act]:
        """Reads in a mail program that fetches images by an HTTP library; its links open in a browser."""
        at, agent = self._read_at(), self._noise.choice(MAIL_APPS)
        yield self._act("person, app by an HTTP library", "human", at, None, agent, self._address(HOMES))
        yield from self._clicks(at, HOMES, BROWSERS)

    def apple(self) -> Iterator[Act]:
        """Apple fetches the images of all mail, read or not; the reader clicks with Safari, maybe by Private Relay."""
        noise = self._noise
        fetched = self._letter.delivered + noise.randrange(10 * SECOND, 6 * HOUR)
        yield self._act("Apple MPP", "proxy", fetched, None, "Mozilla/5.0", self._address(APPLE))
        relay = noise.random() < 0.4
        for click in self._clicks(self._read_at(), APPLE[1:] if relay else HOMES, [SAFARI], 0.1):
            yield click._replace(who="person by Private Relay") if relay else click

    def gmail(self) -> Iterator[Act]:
        """Google's proxy when it is read; before that, for some, a prefetch that nobody sees."""
        noise = self._noise
        if noise.random() < 0.25:
            at, ip = self._letter.delivered + noise.randrange(SECOND, 5 * MINUTE), self._address(GOOGLE)
            yield self._act("Gmail prefetch", "machine", at, None, GMAIL_PREFETCH, ip)
        if noise.random() < 0.45:
            at = self._read_at()
            yield self._act("Gmail proxy", "proxy", at, None, GMAIL, self._address(GOOGLE))
            yield from self._clicks(at, HOMES, BROWSERS)

    def yahoo(self) -> Iterator[Act]:
        if self._noise.random() < 0.45:
            at = self._read_at()
            yield self._act("Yahoo proxy", "proxy", at, None, YAHOO, self._address(YAHOOS))
            yield from self._clicks(at, HOMES, BROWSERS)

    def browser_prefetch(self) -> Iterator[Act]:
        """A web mail's browser fetches ahead what may be followed, and says so; often the reader does follow."""
        noise = self._noise
        at, agent, ip = self._read_at(), CHROME.format(126), self._address(HOMES)
        yield self._act("person", "human", at, None, agent, ip)
        if self._letter.links:
            link = noise.randrange(self._letter.links)
            ahead = at + noise.randrange(300_000, 3 * SECOND)
            yield self._act("browser prefetch", "machine", ahead, link, agent, ip, prefetch=True)
            if noise.random() < 0.4:
                yield self._act("person", "human", ahead + noise.randrange(2 * SECOND, MINUTE), link, agent, ip)

    def shared_link(self) -> Iterator[Act]:
        """A reader passes a link on in a chat, whose robot looks at it; friends follow it."""
        noise = self._noise
        acts = list(self.person())
        yield from acts
        if not self._letter.links:
            return
        at = max((act.at for act in acts), default=self._letter.delivered + HOUR) + MINUTE
        link = noise.randrange(self._letter.links)
        yield self._act("link preview", "machine", at, link, noise.choice(PREVIEWS), self._address(CLOUDS))
        for _ in range(noise.randrange(4)):
            at += noise.randrange(20 * SECOND, HOUR)
            yield self._act("person", "human", at, link, noise.choice(BROWSERS), self._address(HOMES))

    def waiting(self) -> Iterator[Act]:
        """Waits for a confirmation or a magic link and follows it 5 to 15 seconds after delivery."""
        noise = self._noise
        clicked = self._letter.delivered + noise.randrange(5 * SECOND, 15 * SECOND)
        agent, ip = noise.choice(BROWSERS), self._address(HOMES)
        opened = clicked - noise.randrange(SECOND, 4 * SECOND)
        yield self._act("person who waits for the mail", "human", opened, None, agent, ip)
        yield self._act("person who waits for the mail", "human", clicked, 0, agent, ip)
        if noise.random() < 0.1:
            again = clicked + noise.randrange(80_000, 600_000)
            yield self._act("person, double click", "human", again, 0, agent, ip)

    def thorough(self) -> Iterator[Act]:
        """Follows all links of a short mail, over some minutes, in the order of the mail."""
        noise = self._noise
        at, agent, ip = self._read_at(), noise.choice(BROWSERS), self._address(HOMES)
        yield self._act("person", "human", at, None, agent, ip)
        for link in range(self._letter.links):
            at += noise.randrange(8 * SECOND, 3 * MINUTE)
            yield self._act("person, all links of a short mail", "human", at, link, agent, ip)

    def forwarded(self) -> Iterator[Act]:
        """Two people read the same mail at once, one of them forwarded to, and follow what both find interesting."""
        noise, begun = self._noise, self._read_at()
        for _ in range(2):
            at, agent, ip = begun + noise.randrange(MINUTE), noise.choice(BROWSERS), self._address(HOMES)
            yield self._act("two people with one mail", "human", at, None, agent, ip)
            if self._letter.links:
                for link in noise.sample(range(self._letter.links), min(self._letter.links, noise.choice([1, 1, 2]))):
                    at += noise.randrange(2 * SECOND, 30 * SECOND)
                    yield self._act("two people with one mail", "human", at, link, agent, ip)

    def office_probe(self) -> Iterator[Act]:
        """Office asks by HEAD whether the link exists, then the person's browser follows it from the same address."""
        noise, at, ip = self._noise, self._read_at(), self._address(OFFICES)
        yield self._act("person", "human", at, None, OUTLOOK, ip)
        if self._letter.links:
            link, at = noise.randrange(self._letter.links), at + noise.randrange(3 * SECOND, 2 * MINUTE)
            yield self._act("Office's look", "machine", at, link, OFFICE_PROBE, ip, mark=Mark.HEAD)
            at += noise.randrange(150_000, 900_000)
            yield self._act("person, Office looked first", "human", at, link, noise.choice(BROWSERS), ip)

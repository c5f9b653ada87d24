"""A day of mail as it is met by people, proxies and robots, and who was who.

Written from PEERS of the field and from what vendors and their users publish about clients, proxies and scanners,
not from the rules of Postmeter's own verdicts: it must not know what the classifier looks for. Every share here is an
assumption, not a measurement. HEAD requests are not in it, for the tracking-service never counts them.
"""

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

OUTLOOK = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Win64; x64; Trident/7.0; ms-office; MSOffice 16)"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
SAFARI = f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
ANDROID = "Mozilla/5.0 (Linux; Android {}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36"
READERS = [
    OUTLOOK,
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)",
    "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.10.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Thunderbird/128.2.0",
    f"{IPHONE} Mobile/15E148",
    MAC,
    ANDROID.format("14; SM-S911B; wv", 124),
    ANDROID.format("9; CUBOT_X19; wv", 88),
]
"""What a reader's own mail program says when it fetches the images."""
BROWSERS = [
    CHROME.format(126),
    CHROME.format(127) + " Edg/127.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0",
    f"{MAC} Version/17.5 Safari/605.1.15",
    SAFARI,
    ANDROID.format("10; K", 126),
    ANDROID.format("9; CUBOT_X19", 88),
]
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
GMAIL_PREFETCH = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
NAMED = [
    "Barracuda Sentinel (EE)",
    "proofpoint",
    "CiscoSecureEmail",
    "TMES",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
]
"""Security gateways by what senders find of them in their logs."""
LIBRARIES = [
    "python-requests/2.31.0",
    "Java/11.0.20",
    "Apache-HttpClient/4.5.13 (Java/11.0.20)",
    "Go-http-client/1.1",
    "lua-resty-http/0.16.1 (Lua) ngx_lua/10019",
    "",
]
PREVIEWS = [
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "WhatsApp/2.23.20.0",
    "TelegramBot (like TwitterBot)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1"
    " Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
]
HOMES = ["81.2", "86.140", "24.5", "73.162", "91.64", "109.43", "2.204", "201.17"]
OFFICES = ["193.99", "62.245", "12.160", "212.18"]
APPLE = ["17.58", "104.28", "172.225", "146.75"]
"""Mail Privacy Protection fetches from here, and people who use Private Relay browse from some of them."""
GOOGLE = [*(f"66.249.{n}" for n in range(80, 96)), *(f"66.102.{n}" for n in range(16)), "74.125"]
YAHOOS = ["69.147", "98.139"]
PROOFPOINT = ["67.231.144", "67.231.152", "148.163.128", "148.163.148", "205.220.161", "185.132.181"]
MIMECAST = ["207.211.31", "205.139.110", "216.205.24", "195.130.217", "91.220.42", "51.163.158", "170.10.129"]
CLOUDS = ["3.80", "18.204", "34.72", "20.51", "40.94", "52.178"]


class Act(NamedTuple):
    """An open (`link` is None) or a click. `truth`: human, proxy or machine; `who`: a row of the report."""

    at: int
    message: int
    link: int | None
    agent: str
    ip: str
    prefetch: bool
    truth: str
    who: str


class Letter(NamedTuple):
    """A delivered message: its number, the time of its delivery and how many links it has."""

    number: int
    delivered: int
    links: int


def address(noise: random.Random, networks: list[str]) -> str:
    parts = noise.choice(networks).split(".")
    return ".".join(parts + [str(noise.randrange(1, 255)) for _ in range(4 - len(parts))])


def later(noise: random.Random) -> int:
    """How long people take to look: half of them within an hour and a half, a few at once."""
    return int(min(noise.lognormvariate(8.6, 1.5), 20 * 3600) * SECOND) + 5 * SECOND


class Day:
    """Everybody's acts on one letter; each method is one kind of recipient or robot."""

    def __init__(self, noise: random.Random, letter: Letter) -> None:
        self._noise = noise
        self._letter = letter

    def _act(self, who: str, truth: str, at: int, link: int | None, agent: str, ip: str, prefetch: bool = False) -> Act:
        return Act(at, self._letter.number, link, agent, ip, prefetch, truth, who)

    def _clicks(self, at: int, networks: list[str], browsers: list[str], share: float = 0.2) -> Iterator[Act]:
        """A reader follows one link, seldom some more: after reading on, or all at once into tabs of the browser."""
        noise = self._noise
        if noise.random() > share or not self._letter.links:
            return
        agent, ip = noise.choice(browsers), address(noise, networks)
        hurried = noise.random() < 0.1
        number = min(self._letter.links, 3 if hurried else noise.choice([1, 1, 1, 1, 2, 3]))
        who = "person, links into tabs" if hurried and number > 1 else "person"
        at += noise.randrange(3 * SECOND, 2 * MINUTE)
        for link in noise.sample(range(self._letter.links), number):
            yield self._act(who, "human", at, link, agent, ip)
            at += noise.randrange(400_000, 1_500_000) if hurried else noise.randrange(8 * SECOND, 5 * MINUTE)

    def person(self, networks: list[str] = HOMES) -> Iterator[Act]:
        """Reads in a mail program or in a browser, sometimes twice."""
        noise = self._noise
        at, agent, ip = (
            self._letter.delivered + later(noise),
            noise.choice(READERS + BROWSERS),
            address(noise, networks),
        )
        if noise.random() > 0.5:
            return
        yield self._act("person", "human", at, None, agent, ip)
        yield from self._clicks(at, networks, BROWSERS)
        if noise.random() < 0.3:
            yield self._act("person", "human", at + noise.randrange(HOUR, 3 * HOUR), None, agent, ip)

    def apple(self) -> Iterator[Act]:
        """Apple fetches the images of all mail, read or not; the reader clicks with Safari, maybe by Private Relay."""
        noise, delivered = self._noise, self._letter.delivered
        fetched = delivered + noise.randrange(10 * SECOND, 6 * HOUR)
        yield self._act("Apple MPP", "proxy", fetched, None, "Mozilla/5.0", address(noise, APPLE))
        relay = noise.random() < 0.4
        for click in self._clicks(delivered + later(noise), APPLE[1:] if relay else HOMES, [SAFARI], 0.1):
            yield click._replace(who="person by Private Relay") if relay else click

    def gmail(self) -> Iterator[Act]:
        """Google's proxy when it is read; before that, for some, a prefetch that nobody sees."""
        noise, delivered = self._noise, self._letter.delivered
        if noise.random() < 0.25:
            at, ip = delivered + noise.randrange(SECOND, 5 * MINUTE), address(noise, GOOGLE)
            yield self._act("Gmail prefetch", "machine", at, None, GMAIL_PREFETCH, ip)
        if noise.random() < 0.45:
            at = delivered + later(noise)
            yield self._act("Gmail proxy", "proxy", at, None, GMAIL, address(noise, GOOGLE))
            yield from self._clicks(at, HOMES, BROWSERS)

    def yahoo(self) -> Iterator[Act]:
        noise = self._noise
        if noise.random() < 0.45:
            at = self._letter.delivered + later(noise)
            yield self._act("Yahoo proxy", "proxy", at, None, YAHOO, address(noise, YAHOOS))
            yield from self._clicks(at, HOMES, BROWSERS)

    def browser_prefetch(self) -> Iterator[Act]:
        """A web mail's browser fetches ahead what may be followed, and says so; often the reader does follow."""
        noise = self._noise
        at, agent, ip = self._letter.delivered + later(noise), CHROME.format(126), address(noise, HOMES)
        yield self._act("person", "human", at, None, agent, ip)
        if self._letter.links:
            link = noise.randrange(self._letter.links)
            ahead = at + noise.randrange(300_000, 3 * SECOND)
            yield self._act("browser prefetch", "machine", ahead, link, agent, ip, prefetch=True)
            if noise.random() < 0.4:
                yield self._act("person", "human", ahead + noise.randrange(2 * SECOND, MINUTE), link, agent, ip)

    def _scan(self, who: str, agents: list[str], networks: list[str], at: int, step: int) -> Iterator[Act]:
        """The images and every link, `step` microseconds apart at most."""
        noise = self._noise
        agent, ip = noise.choice(agents), address(noise, networks)
        if noise.random() < 0.6:
            yield self._act(who, "machine", at, None, agent, ip)
        for link in range(self._letter.links):
            at += noise.randrange(1000, step)
            yield self._act(who, "machine", at, link, agent, ip)

    def _scanned(self, who: str, agents: list[str], networks: list[str], step: int) -> Iterator[Act]:
        """Mail to an office: scanned around its delivery (or much later), read by somebody in the end."""
        noise = self._noise
        wait = noise.randrange(2 * SECOND, 90 * SECOND) if noise.random() < 0.7 else noise.randrange(2 * HOUR)
        yield from self._scan(who, agents, networks, self._letter.delivered + wait, step)
        yield from self.person(OFFICES)

    def named_scanner(self) -> Iterator[Act]:
        return self._scanned("scanner with a name", NAMED, CLOUDS, 2 * SECOND)

    def library_scanner(self) -> Iterator[Act]:
        return self._scanned("scanner by an HTTP library", LIBRARIES, CLOUDS, 2 * SECOND)

    def networked_scanner(self) -> Iterator[Act]:
        return self._scanned("scanner of a known network", BROWSERS, PROOFPOINT + MIMECAST, 2 * SECOND)

    def disguised_scanner(self) -> Iterator[Act]:
        """Looks like a browser, in a cloud: all links within a second."""
        return self._scanned("scanner like a person", BROWSERS, CLOUDS, SECOND // max(2, self._letter.links))

    def sampling_scanner(self) -> Iterator[Act]:
        """The same, but it follows the first link only: hard to tell for anybody."""
        at = self._letter.delivered + self._noise.randrange(2 * SECOND, 90 * SECOND)
        acts = list(self._scan("scanner like a person, first link", BROWSERS, CLOUDS, at, SECOND))
        yield from (act for act in acts if not act.link)
        yield from self.person(OFFICES)

    def shared_link(self) -> Iterator[Act]:
        """A reader passes a link on in a chat, whose robot looks at it; friends follow it."""
        noise = self._noise
        acts = list(self.person())
        yield from acts
        if not self._letter.links:
            return
        at = max((act.at for act in acts), default=self._letter.delivered + HOUR) + MINUTE
        link = noise.randrange(self._letter.links)
        yield self._act("link preview", "machine", at, link, noise.choice(PREVIEWS), address(noise, CLOUDS))
        for _ in range(noise.randrange(4)):
            at += noise.randrange(20 * SECOND, HOUR)
            yield self._act("person", "human", at, link, noise.choice(BROWSERS), address(noise, HOMES))


KINDS: dict[Callable[[Day], Iterator[Act]], float] = {
    Day.person: 0.24,
    Day.apple: 0.22,
    Day.gmail: 0.24,
    Day.yahoo: 0.06,
    Day.browser_prefetch: 0.03,
    Day.named_scanner: 0.03,
    Day.library_scanner: 0.02,
    Day.networked_scanner: 0.05,
    Day.disguised_scanner: 0.06,
    Day.sampling_scanner: 0.02,
    Day.shared_link: 0.03,
}
"""Which share of the letters goes to whom: mixed mail, nearly a fifth of it scanned by somebody."""


def day(start: int, letters: int, seed: int) -> tuple[list[Letter], list[Act]]:
    """Letters delivered from `start` (microseconds since 1970) on, most in the morning, and all acts in their order.

    No two acts of one message have the same time, so that time and message name an act.
    """
    noise = random.Random(seed)
    sent, acts = [], []
    for number in range(letters):
        delivered = start + int(noise.triangular(0, 16, 8) * HOUR)
        letter = Letter(number, delivered, noise.choice([0, 1, 1, 2, 3, 4, 5, 6, 8]))
        (kind,) = noise.choices(list(KINDS), list(KINDS.values()))
        sent.append(letter)
        taken: set[int] = set()
        for act in kind(Day(noise, letter)):
            at = act.at
            while at in taken:
                at += 1
            taken.add(at)
            acts.append(act._replace(at=at))
    return sent, sorted(acts)

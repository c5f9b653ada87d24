"""Machines that fetch what people are sent: Gmail ahead of the reader, scanners of companies' mail, previews, crawlers.

Where the verdict goes by the network, the address is one of the networks that ship with Postmeter
(aggregator/verdicts/networks.txt); all others are for documentation.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from postmeter.cli.demo.model.clients import CLIENTS, address_of
from postmeter.cli.demo.model.moments import HOUR, MINUTE, SECOND

_GMAIL_AHEAD = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
)
_NETWORKS = {"microsoft": "40.107.{}.{}", "proofpoint": "67.231.150.{1}", "mimecast": "207.211.30.{1}"}
_NAMED = {"barracuda": "Barracuda Sentinel (EE)"}
_PREVIEWS = (
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "WhatsApp/2.25.30.0 A",
    "TelegramBot (like TwitterBot)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
)
_CRAWLERS = (
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
)


_FOLLOWED = 0.6
"""How often a scanner that looks at the images follows the links, too."""


class Visit(NamedTuple):
    """An image (no url) or a link that is fetched."""

    at: int
    url: str | None
    agent: str
    ip: str


def gmail_ahead(noise: random.Random, delivered: int) -> Visit:
    """Gmail fetches a mail's images before its reader is there."""
    ip = f"66.249.{noise.randrange(80, 96)}.{noise.randrange(1, 255)}"
    return Visit(delivered + noise.randrange(SECOND, 5 * MINUTE), None, _GMAIL_AHEAD, ip)


def scan(noise: random.Random, scanner: str, delivered: int, urls: Sequence[str]) -> Iterator[Visit]:
    """A security scanner looks at a mail's images, or follows all its links faster than a hand, or both."""
    at = delivered + noise.randrange(2 * SECOND, 90 * SECOND)
    network = _NETWORKS.get(scanner)
    ip = network.format(noise.randrange(256), noise.randrange(1, 255)) if network else address_of(noise)
    agent = _NAMED.get(scanner) or CLIENTS["browser"].images
    if scanner != "hasty":
        yield Visit(at, None, agent, ip)
    for url in urls if scanner == "hasty" or noise.random() < _FOLLOWED else ():
        at += noise.randrange(20, 200)
        yield Visit(at, url, agent, ip)


def preview(noise: random.Random, clicked: int, url: str) -> Visit:
    """A link is passed on in a chat, whose robot looks at it."""
    return Visit(clicked + noise.randrange(MINUTE, 2 * HOUR), url, noise.choice(_PREVIEWS), address_of(noise))


def crawl(noise: random.Random, delivered: int, url: str) -> Visit:
    """A crawler finds a tracked link that somebody has put into the open."""
    return Visit(delivered + noise.randrange(HOUR, 72 * HOUR), url, noise.choice(_CRAWLERS), address_of(noise))

"""What user agents say of themselves, as data.

Programs that anybody may write (curl, HTTP libraries, headless browsers) are not among the machines: mail clients are
made of such parts too, and a scanner that wants to pass as a person does not say what it is anyway. Neither is what
says nothing (an empty agent, `Amazon CloudFront`: a CDN that hides the reader's), nor what Office and Apple's mail
programs say.

Where a name comes from stands beside it. A name that no source gives as sent is not here: senders tell of Sophos and
FortiMail scanners that name themselves, but not how.
"""

from __future__ import annotations

import re

from postmeter.shared.events import EventType, Verdict

Judgement = tuple[Verdict, str | None]
HUMAN: Judgement = (Verdict.HUMAN, None)
APPLE_MAIL_PRIVACY = b"Mozilla/5.0"
"""The whole user agent of Apple Mail Privacy Protection. Its addresses are also people's: opens only."""
FROZEN_AGENT = (
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135"
    b" Safari/537.36 Edge/12.246 Mozilla/5.0"
)
"""What Gmail fetches images ahead of the reader with, from Google's addresses."""
PROXIES = (
    (b"googleimageproxy", "google_image_proxy"),
    (b"yahoomailproxy", "yahoo_mail_proxy"),
    # hey.com/image-proxy and fastmail.com/policies/bots: fetched when the mail is opened.
    (b"hey.com/imageproxy", "hey_image_proxy"),
    (b"fastmailua/", "fastmail_image_proxy"),
    # Named as proxies of these mail services by Matomo's device detector; when they fetch is not documented.
    (b"seznamemailproxy", "seznam_mail_proxy"),
    (b"ramblermail/", "rambler_image_proxy"),
    (b"via secureurl.fwdcdn.com", "ukrnet_mail_proxy"),
)
"""Parts of lower-cased user agents of those that fetch an image when the reader sees it, for the reader. Public lists
call them bots."""

SCANNERS = (
    b"barracuda",  # Barracuda Sentinel (EE): Braze's documentation of bot filtering, Matomo's device detector
    b"proofpoint",
    b"mimecast",
    b"messagelabs",
    b"cloudmark",
    b"trendmicro",
    b"tmes ",  # Trend Micro Email Security: live-direct-marketing, "Bot clicks from security scanners"
    b"ciscosecureemail",  # the same
    b"symantec",
    b"fireeye",
    b"forcepoint",
    b"fortiguard",
    b"zscaler",
    b"urlscan",
    b"virustotal",
    b"phishtank",
    b"safelinks",
    b"netcraftsurveyagent",  # crawler-user-agents
    b"kaspersky lab cfr link resolver ",  # Matomo's device detector; Kaspersky's browser is a person's
    b"google safety",  # Google's list of special-case crawlers
    # What Office asks before it gives a link to the browser; the browser is the person.
    b"microsoft office existence discovery ",
)
"""Security gateways and those who look for malware."""
PREVIEWS = (
    # Messengers and networks that look at a link to show a card of it (their documentation, crawler-user-agents).
    b"bingpreview",
    b"microsoftpreview",
    b"skypeuripreview",
    b"facebookexternalhit",
    b"facebookcatalog",
    b"facebot ",
    b"meta externalagent",
    b"meta externalfetcher",
    b"meta externalhit",
    b"slack imgproxy",
    b"slackbot",
    b"discordbot",
    b"telegrambot",
    b"linkedinbot",
    b"twitterbot",
    b"pinterestbot",
    b"redditbot",
    b"keybasebot",
    b"groupmebot",
    b"mattermost bot ",
    b"snap url preview service ",
    b"snapurlpreview",
    b"steamchaturllookup",
    b"viberurldownloader",
    b"vkshare",
    b"embedly",
    b"iframely",
    b"linkpreview",
    b"yahoo link preview ",
    b"google web preview ",
    b"google read aloud",
    b"googlemessages ",  # Google's Messages on Android: Braze's documentation of bot filtering
)
"""Link previews."""
MONITORS = (
    b"pingdom",
    b"uptimerobot",
    b"statuscake",
    b"site24x7",
    b"datadogsynthetics",
)
CRAWLERS = (b"mediapartners google", b"feedfetcher google", b"apis google", b"googleother", b"yahoo slurp")
NAMES = (("scanner", SCANNERS), ("preview", PREVIEWS), ("monitor", MONITORS), ("crawler", CRAWLERS))
"""How machines call themselves, by kind of machine: words that begin so. All but letters and digits is one space; a
space at the end: the word ends there. The first one found in a user agent says what kind it is."""
MARKS = ((b"whatsapp/", "preview"), (b"+http", "crawler"), (b"-bot/", "crawler"), (b" bot/", "crawler"))
"""Parts of lower-cased user agents that only machines send. `+http` is how a robot gives its address."""
CRAWLER_ENDS = (b"bot", b"crawler", b"spider")
"""A word that ends so names a crawler, unless it is one of PHONES."""
PHONES = frozenset({b"bot", b"cubot", b"hubot", b"idbot", b"xbot", b"spider"})
"""Telephones: CUBOT, Hubot, ID bot 53, XBot Senior, M bot 51, Spider 8."""
_BLANKED = bytes(byte if chr(byte).isalnum() and byte < 128 else 32 for byte in range(256))
_NAMED = re.compile(
    b" (?:%b)" % b"|".join(b"(?P<%b>%b)" % (kind.encode(), b"|".join(map(re.escape, names))) for kind, names in NAMES)
)


def by_agent(kind: EventType, user_agent: bytes) -> Judgement:
    """The judgement that the user agent alone allows. Time is linear in its length."""
    if kind is EventType.OPENED and user_agent == APPLE_MAIL_PRIVACY:
        return Verdict.PROXY, "apple_mpp"
    lowered = user_agent.lower()
    for part, proxy in PROXIES:
        if part in lowered:
            # A proxy fetches images; a click that says it is one is somebody else's.
            return (Verdict.PROXY, proxy) if kind is EventType.OPENED else (Verdict.MACHINE, proxy)
    machine = _machine(lowered)
    return (Verdict.MACHINE, f"agent:{machine}") if machine else HUMAN


def _machine(lowered: bytes) -> str | None:
    words = lowered.translate(_BLANKED).split()
    named = _NAMED.search(b" %b " % b" ".join(words))
    if named:
        return named.lastgroup
    for mark, machine in MARKS:
        if mark in lowered:
            return machine
    return "crawler" if any(word.endswith(CRAWLER_ENDS) and word not in PHONES for word in words) else None

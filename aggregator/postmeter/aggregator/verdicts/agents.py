"""What user agents say of themselves, as data.

Programs that anybody may write (curl, HTTP libraries, headless browsers) are not among the machines: mail clients are
made of such parts too, and a scanner that wants to pass as a person does not say what it is anyway.
"""

from __future__ import annotations

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
)
"""Fetch an image when the reader sees it, for the reader. Public lists call them bots."""
MACHINES = (
    (b"barracuda", "scanner"),
    (b"proofpoint", "scanner"),
    (b"mimecast", "scanner"),
    (b"messagelabs", "scanner"),
    (b"cloudmark", "scanner"),
    (b"trendmicro", "scanner"),
    (b"symantec", "scanner"),
    (b"fireeye", "scanner"),
    (b"forcepoint", "scanner"),
    (b"fortiguard", "scanner"),
    (b"zscaler", "scanner"),
    (b"urlscan", "scanner"),
    (b"virustotal", "scanner"),
    (b"phishtank", "scanner"),
    (b"ms safelinks", "scanner"),
    (b"microsoft office existence discovery", "scanner"),
    (b"bingpreview", "preview"),
    (b"facebookexternalhit", "preview"),
    (b"slack-imgproxy", "preview"),
    (b"slackbot", "preview"),
    (b"discordbot", "preview"),
    (b"telegrambot", "preview"),
    (b"whatsapp/", "preview"),
    (b"linkedinbot", "preview"),
    (b"twitterbot", "preview"),
    (b"skypeuripreview", "preview"),
    (b"google-read-aloud", "preview"),
    (b"crawler", "crawler"),
    (b"spider", "crawler"),
    (b"googlebot", "crawler"),
    (b"bingbot", "crawler"),
    (b"applebot", "crawler"),
    (b"yandexbot", "crawler"),
    (b"duckduckbot", "crawler"),
    (b"ahrefsbot", "crawler"),
    (b"semrushbot", "crawler"),
    (b"bot/", "crawler"),
    (b"bot;", "crawler"),
    (b"+http", "crawler"),
    (b"pingdom", "monitor"),
    (b"uptimerobot", "monitor"),
    (b"statuscake", "monitor"),
    (b"site24x7", "monitor"),
)
"""Parts of lower-cased user agents that only machines send, and what kind of machine."""


def by_agent(kind: EventType, user_agent: bytes) -> Judgement:
    """The judgement that the user agent alone allows."""
    if kind is EventType.OPENED and user_agent == APPLE_MAIL_PRIVACY:
        return Verdict.PROXY, "apple_mpp"
    lowered = user_agent.lower()
    for part, proxy in PROXIES:
        if part in lowered:
            # A proxy fetches images; a click that says it is one is somebody else's.
            return (Verdict.PROXY, proxy) if kind is EventType.OPENED else (Verdict.MACHINE, proxy)
    return next(((Verdict.MACHINE, f"agent:{machine}") for part, machine in MACHINES if part in lowered), HUMAN)

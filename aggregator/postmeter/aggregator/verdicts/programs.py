"""Programs that people read mail and browse with, or that anybody's program is made of, as data.

Public lists of robots name some of them. Here they are not robots: mail clients are made of HTTP libraries, and a
document in an office program asks for its images itself (docs/verdicts.md).
"""

from __future__ import annotations

LIBRARIES = """
ahc; aiohttp; akka http; amazon cloudfront; anyevent; apache http; apache httpasyncclient; apache httpclient; aria2;
axios; btwebclient; cakephp; colly; curl; custom async; customasynchttpclient; dart; embarcadero; faraday; fetch; go;
got; google api; google http java client; grpc; gsoap; guzzle; guzzlehttp; gvfs; headless; headlesschrome; http get;
http kit; http rb; http request; http request2; http requester; http tiny; httpclient; httpie; httprequest; httpunit;
httpurlconnection; httpx; insomnia; jakarta; java; jersey; jetty; jsdom; lavf; lftp; libcurl; libvlc; libweb; libwww;
lua; lwp; mechanize; microsoft bits; microsoft cryptoapi; microsoft url control; microsoft winhttp; node; okhttp;
openai; pcore http; pecl; perl; phantom; phantomjs; php; playwright; postman; postmanruntime; puppeteer; pycurl;
python; qt; reactornetty; reqwest; request promise; requests; resty; rest client; restsharp; ruby; scalaj; selenium;
slimerjs; snoopy; symfony; symfony2; typhoeus; undici; unirest; ureq; urlgrabber; urllib; wget; winhttp; zend
"""
"""What programs load addresses with, headless browsers among them."""
CLIENTS = """
airmail; android; androiddownloadmanager; ant com; apple pubsub; applecoremedia; antennapod; blackboard; castbox;
cfnetwork; daum; emclient; excel; fdm; freespoke; github com; icloud; indesign; instapaper; itunes; jaunt; mail;
macoutlook; mattermost; microsoft office; microsoft outlook; netnewswire; networkingextension; nextcloud; notion; odin;
office; outlook; overcast; peoplepal; podcast; podcastaddict; podimo; powerpoint; qqdownload; quiterss; red; reeder;
safari; seznam; silk; slack; sogou; speedy; stumbleupon; synapse; thunderbird; url emacs; valve steam; viber; voyager;
webmon; whatsapp; word; yahoo mail
"""
"""Mail clients, office programs, browsers and what is added to them, readers of feeds, messengers and players;
telephones' names too. `webmon` is what WebMoney Advisor begins with, `seznam` and `daum`
portals in whose apps and browsers people read mail: these robots call themselves bots, or tell an address."""
PROGRAMS = frozenset(
    tuple(name.split()) for text in (LIBRARIES, CLIENTS) for name in text.replace("\n", " ").split(";") if name.strip()
)
LONGEST = max(map(len, PROGRAMS))


def is_program(name: str) -> bool:
    """Whether the words of a name, lower-cased, begin with those of such a program."""
    words = tuple(name.split(maxsplit=LONGEST)[:LONGEST])
    return any(words[:count] in PROGRAMS for count in range(1, len(words) + 1))

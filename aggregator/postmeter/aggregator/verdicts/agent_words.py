"""What user agents say of themselves, as data: our own words, short, beside the names of public lists (`agent_names`).

Where a name comes from stands beside it. A name that no source gives as sent is not here: senders tell of Sophos and
FortiMail scanners that name themselves, but not how.
"""

from __future__ import annotations

CRAWLER = "crawler"
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
    # crawler-user-agents. Superhuman's own is documented nowhere that we found: it has to say `image proxy` at least.
    (b"shortwave image fetcher", "shortwave_image_proxy"),
    # Proxies that anybody may run in front of the images of a mail (imgproxy.net).
    (b"image proxy", "image_proxy"),
    (b"imageproxy", "image_proxy"),
    (b"imgproxy/", "image_proxy"),
)
"""Parts of lower-cased user agents of those that fetch an image when the reader sees it, for the reader. Public lists
call them bots."""
PROXY_WORDS = ((b" camo ", "camo"), (b" asset proxy ", "camo"))
"""The same as whole words: github.com/atmos/camo and what was made after it (go-camo, camo-rs, ...), in whose setting
CAMO_HEADER_VIA whoever runs it may write something else."""

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
    b"clamav",
    b"arachni",
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
    b"facebookexternal",
    b"facebookcatalog",
    b"facebot",
    b"meta external",
    b"slack imgproxy",
    b"slackbot",
    b"mattermost bot",
    b"discordbot",
    b"telegrambot",
    b"linkedinbot",
    b"twitterbot",
    b"snap url preview service ",
    b"snapurlpreview",
    b"steamchaturllookup",
    b"viberurldownloader",
    b"google web preview ",
    b"google read aloud",
    b"googlemessages ",  # Google's Messages on Android: Braze's documentation of bot filtering
)
"""Link previews."""
MONITORS = (b"pingdom", b"datadogsynthetics", b"nodeping", b"collectd", b"synthetics")
CRAWLERS = (b"mediapartners google", b"feedfetcher google", b"apis google", b"googleother", b"duplexweb google")
NAMES = (("scanner", SCANNERS), ("preview", PREVIEWS), ("monitor", MONITORS), (CRAWLER, CRAWLERS))
"""How machines call themselves, by kind of machine: words that begin so. All but letters and digits is one space; a
space at the end: the word ends there. The first one found in a user agent says what kind it is."""
FIELD_WORDS = (
    (b"crawl", CRAWLER),
    (b"spider", CRAWLER),
    (b"scraper", CRAWLER),
    (b"fetcher", CRAWLER),
    (b"archiver", CRAWLER),
    (b"indexer", CRAWLER),
    (b"extractor", CRAWLER),
    (b"analyzer", CRAWLER),
    (b"transcoder", CRAWLER),
    (b"pingback", CRAWLER),
    (b"inspector", CRAWLER),
    (b"screenshot", CRAWLER),
    (b"thumbnail", CRAWLER),
    (b"expander", "preview"),
    (b"webparser", CRAWLER),
    (b"detection", CRAWLER),
    (b"dummy connection", "monitor"),
    (b" contact ", CRAWLER),
    (b"useragent", CRAWLER),
    (b"user agent", CRAWLER),
    (b"feedparser", "feed"),
    (b"feed parser", "feed"),
    (b"feedreader", "feed"),
    (b"rss reader", "feed"),
    (b"rssreader", "feed"),
    (b"unfurl", "preview"),
    (b"linkpreview", "preview"),
    (b"link preview", "preview"),
    (b"urllookup", "preview"),
    (b"monitor", "monitor"),
    (b"uptime", "monitor"),
    (b"observatory", "monitor"),
    (b"checker", "monitor"),
    (b"linkcheck", "monitor"),
    (b"validator", "monitor"),
    (b"verification", "monitor"),
    (b" audit", "monitor"),
    (b" scan ", "scanner"),
    (b" scanner", "scanner"),
)
"""Words of this field that no person's program holds, parts of what `words` makes of an agent."""
ATTACKS = (
    b"<script", b"<svg", b"<img", b"<iframe", b"<a href", b"<h1", b"<?", b"<%", b"${", b"javascript:",
    b"burpcollaborator", b" oast ",
)  # fmt: skip
"""Parts of lower-cased agents of those that try whether a service can be broken by one. Not every `<`: Citrix's browser
for phones has a number of its own behind one, and agents written by hand leave some to be filled in."""
COMPONENTS = (b"bsalsa.com",)
"""Addresses in people's agents: of the maker of EmbeddedWB, the Internet Explorer in other programs."""
DEVICES = (
    b"iphone", b"ipad", b"ipod", b"android", b"darwin", b"mac os", b"macos", b"windows", b"linux", b"apple", b"smarttv",
    b"tablet", b"mobile", b" ios",
)  # fmt: skip
"""What apps say of the device that they run on; robots' own programs do not."""
PLATFORMS = (
    *DEVICES, b"win9", b"win32", b"win64", b"winnt", b"winhttp", b"macintosh", b"mac_", b"x11", b"andr0id", b"cros",
    b"bsd", b"sunos", b"symbian", b"symbos", b"series", b"nokia", b"playstation", b"(ps", b"playbook", b"nintendo",
    b"amiga", b"beos", b"haiku", b"os/2", b"blackberry", b"bb10", b"webos", b"tizen", b"kaios", b"harmony", b"serenity",
    b"crkey", b"cfnetwork", b"msie", b"konqueror", b"wii", b"xbox", b"sega", b"dreamcast", b"palm", b"midp", b"tv",
    b"irix", b"hp-ux", b"aix", b"osf", b"vms", b"risc", b"syllable", b"morphos", b"aros", b"brew", b"maemo", b"meego",
    b"bada", b"qnx", b"fuchsia", b"ms-office", b"msoffice", b"lotus", b"gecko/", b"presto", b"kindle", b"roku",
    b"arachne", b"dillo", b"netscape", b"opera", b"browser", b"netfront", b"cellphone", b"inferno", b"thunderbird",
    b"icedove", b"astro", b"headless", b"phantomjs", b"electron",
)  # fmt: skip
"""What a browser runs on, as browsers say it, or an old or a headless browser's own name."""
PLAYERS = (b"player", b"podcast", b"pod", b"cast", b"radio", b"music", b"audio", b" fm ", b".fm")
"""Parts of agents of what people listen with: it tells its maker's address, as robots do."""
CLIENTS = (
    b"mail", b"outlook", b"thunderbird", b"app", b"browser", b"chrome", b"chromium", b"firefox", b"safari", b"opera",
    b"edge", b"spotify",
)  # fmt: skip
"""Parts of one-word agents of programs that people have on a device."""

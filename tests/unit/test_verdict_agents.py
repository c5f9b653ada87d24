"""What user agents are taken for: ordinary ones for people's, those that name themselves for machines'."""

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postmeter.aggregator.verdicts.agent_names import AgentNames, AgentNamesError, words
from postmeter.aggregator.verdicts.agent_words import FIELD_WORDS, NAMES
from postmeter.aggregator.verdicts.agents import Judgement
from postmeter.aggregator.verdicts.agents import by_agent as by_agent_and_names
from postmeter.shared.stream.events import EventType, Verdict

OPEN, CLICK = EventType.OPENED, EventType.CLICKED
LISTED = AgentNames.shipped()
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
ANDROID = "Mozilla/5.0 (Linux; Android 9; {}) " + CHROME + " Mobile Safari/537.36"
MODELS = [
    "CUBOT", "CUBOT_X19", "CUBOT KINGKONG 5 Pro", "Hubot", "M bot 51", "M_bot_tab_1150", "C Bot Tab 100", "POWER BOT",
    "VR BOT 552 PLUS", "B BOT 550", "ID bot 53+", "IDbot553", "XBot_Senior", "Spider 8", "SM-S911B; wv", "Camo X1", "K",
]  # fmt: skip
ORDINARY = [
    "",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " + CHROME + " Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " + CHROME + " Safari/537.36 Edg/126.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " + CHROME + " Safari/537.36 OPR/111.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) " + CHROME + " Safari/537.36 Norton/126.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Thunderbird/128.2.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.10.1",
    MAC,
    f"{MAC} Version/17.5 Safari/605.1.15",
    f"{MAC} Version/17.5 Safari/605.1.15 Ddg/17.5",
    f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1",
    f"{IPHONE} Version/17.5 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15",
    f"{IPHONE} Mobile/15E148",
    f"{IPHONE} Mobile/15E148 [LinkedInApp]/9.24.1488",
    f"{IPHONE} Mobile/15E148 [FBAN/FBIOS;FBAV/468.0.0.38.102;FBDV/iPhone14,5]",
    f"{IPHONE} CriOS/126.0.6478.35 Mobile/15E148 Safari/604.1",
    f"{IPHONE} GSA/322.0.645708817 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 5.1; S550 Pro Build/LMY47D; wv) " + CHROME + " Mobile Safari/537.36"
    " Instagram 94.0.0.22.116 Android (22/5.1; 320dpi; 720x1280; CUBOT; S550 Pro; hct6750; mt6750; de_DE)",
    "Mozilla/5.0 (Linux; Android 7.1.2; G011A; wv) " + CHROME + " Safari/537.36 Viber/11.9.5.8",
    "Mozilla/5.0 (Linux; Android 7.0; BL5000; wv) " + CHROME + " Mobile Safari/537.36 [Pinterest/Android]",
    "Mozilla/5.0 (Linux; Android 12; Pixel 6 Pro; wv) " + CHROME + " Mobile Safari/537.36Snapchat11.83.0.31",
    "Mozilla/5.0 (Windows NT 6.2) AppleWebKit/537.36 WhatsAppElectron/1.0.3 Chrome/108.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 discord/1.0.9003 Chrome/91.0 Safari/537.36",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Win64; x64; Trident/7.0; ms-office; MSOffice 16)",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.2; WOW64; Trident/6.0; McAfee; MDDSJS)",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; EmbeddedWB 14.52 from: http://www.bsalsa.com/)",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; Trident/4.0; WebMoney Advisor; .NET4.0C)",
    f"{IPHONE} Mobile/16B92 Safari/WebViewIdentifier<1D8B4474-56F4-4C99-8FAB-8C45 WorxWeb/10.8.2",
    f"{MAC} Seznam.cz/1.0.3 Chrome/40.0.2125.104 Safari/537.36",
    f"{MAC} Mattermost/3.6.0 Chrome/53.0.2785.143 Electron/1.4.13 Safari/537.36",
    f"{MAC} WhatsApp/0.3.33 Chrome/59.0.3071.115 Electron/1.8.6 Safari/537.36",
    f"{MAC} Version/6.0 NetNewsWire/4.0.0",
    ANDROID.format("LG-F240S") + " DaumApps/5.2.0 daum",
    ANDROID.format("HTC One_M8; wv") + " Blackboard/4.0",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)",
    "Microsoft Exchange/15.20 (Windows NT 10.0; Win64; x64)",
    "Outlook-iOS/729.3420044.prod.iphone (4.2420.0)",
    "iOS/16.5.1 (20F75) dataaccessd/1.0",
    "Discord/966 CFNetwork/758.5.3 Darwin/15.6.0",
    "Amazon CloudFront",
    "Dalvik/2.1.0 (Linux; U; Android 12; SM-G970U Build/SP1A.210812.016)",
    "curl/8.5.0",
    "python-requests/2.31.0",
    "Python/3.11 aiohttp/3.9.1",
    "Go-http-client/1.1",
    "Google-HTTP-Java-Client/1.43.3 (gzip)",
    "okhttp/4.12.0",
    "lua-resty-http/0.16.1 (Lua) ngx_lua/10019",
    "Apache-HttpClient/4.5.13 (Java/11.0.20)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
    f"{IPHONE} Mobile/15E148 Angebot/3.1",
    "Angebote-App/2.0 (iPhone; iOS 17.5)",
    "Tweetbot/4.8 CFNetwork/1406.0.4 Darwin/22.4.0",
    "WhatsApp/2.24.10.77 Android/14 Device/samsung-SM-A546B",
    "Overcast/3.0 (+http://overcast.example/; iOS podcast app)",
    "AntennaPod/3.4.0",
    "Downcast/2.11 (+https://downcast.example; macOS)",
    "eMClient/10.1.4417.0",
    "Airmail 1.4 rv:238 (Macintosh; Mac OS X 10.9.2; de_DE)",
    "The Bat! 11.1.0",
    "MacOutlook/16.84.24041420 (Intelx64 Mac OS X 14.4 (Build 23E214))",
    "Mail/3774.600.62 CFNetwork/1494.0.7 Darwin/23.4.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Mailspring/1.13.3 Chrome/108.0 Electron/22.3",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X) Word/16.84.0",
    "SamsungEmail/6.1.90.16 (Android 14)",
    "node-fetch/1.0 (+https://node-fetch.example)",
    "colly - https://colly.example/v2",
    *(ANDROID.format(model) for model in MODELS),
    *(ANDROID.format(f"{model} Build/MRA58K; wv") for model in MODELS),
]  # fmt: skip


def by_agent(kind: EventType, agent: bytes) -> Judgement:
    return by_agent_and_names(kind, agent, LISTED)


@pytest.mark.parametrize("agent", ORDINARY)
@pytest.mark.parametrize("kind", [OPEN, CLICK])
def test_an_ordinary_agent_is_a_persons(kind: EventType, agent: str) -> None:
    assert by_agent(kind, agent.encode()) == (Verdict.HUMAN, None)


@pytest.mark.parametrize(
    ("agent", "machine"),
    [
        ("Barracuda Sentinel (EE)", "scanner"),
        ("CiscoSecureEmail", "scanner"),
        ("TMES", "scanner"),
        ("Microsoft Office SafeLinks Protection", "scanner"),
        ("MS SafeLinks", "scanner"),
        ("Kaspersky Lab CFR link resolver cfradmins@kaspersky.com", "scanner"),
        ("Google-Safety", "scanner"),
        ("AppEngine-Google; (+http://code.google.com/appengine; appid: s~virustotalcloud)", "scanner"),
        ("Snap URL Preview Service; bot; snapchat; https://developers.snap.com/robots", "preview"),
        ("LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)", "preview"),
        ("Mozilla/5.0 (Macintosh) Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0", "preview"),
        ("meta-externalfetcher/1.1", "preview"),
        ("Mattermost-Bot/1.1", "preview"),
        ("GoogleMessages/20", "preview"),
        ("GBWhatsApp/2.22.10.73 A", "preview"),
        ("Chatwork LinkPreview v1", "preview"),
        ("DatadogSynthetics", "monitor"),
        ("Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)", "crawler"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", "crawler"),
        ("Mozilla/5.0 (compatible; GPTBot)", "crawler"),
        ("dotbot", "crawler"),
        ("Quora-Bot/1.0 (http://www.quora.com)", "preview"),
        ("Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)", "crawler"),
        ("Mediapartners-Google", "crawler"),
        # A URL or an address without a plus; "bot" as a word, behind an underscore; no platform.
        ("Mozilla/5.0 (compatible; Acme; https://acme.example/why)", "crawler"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.10) Firefox/55.0 Acme/1.0 (www.acme.example)", "crawler"),
        ("Acme/1.0 (robots@acme.example)", "crawler"),
        ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; acme) Chrome/126.0.0.0 Safari/537.36", "crawler"),
        ("acme bot 2.0", "crawler"),
        ("acme_bot", "crawler"),
        ("Mozilla/5.0 acme/0.1", "crawler"),
        ("acmesweeper", "crawler"),
        # Words of the field.
        ("Acme Unfurler/1.0 (Linux)", "preview"),
        ("Acme Link Preview (Windows)", "preview"),
        ("WhatsApp/2.23.20.0 A", "preview"),
        ("Mozilla/5.0 (X11; Linux x86_64; Acme Monitor) Chrome/126.0.0.0 Safari/537.36", "monitor"),
        ("AcmeUptime/3 (Linux)", "monitor"),
        ("Acme Validator/1.3 (Linux)", "monitor"),
        ("acme_scanner/1.0 (Linux)", "scanner"),
        ("Acme Web Scan 1.0 (Linux)", "scanner"),
        ("ChatGPT-User/1.0", "assistant"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/132.0.0.0 Safari/537.36; Acme-User/1.0", "assistant"),
        ("WordPress/6.5; https://blog.example; verifying pingback from 203.0.113.7", "crawler"),
        ("Acme RSS Reader 3.2 (9 subscribers)", "feed"),
        ("<script>alert(1)</script>", "scanner"),
        # Names of public lists, each with what its list says.
        ("Feedbin feed-id:1 - 9 subscribers", "feed"),
        ("Pingdom.com_bot_version_1.4", "monitor"),
        ("GTmetrix", "monitor"),
        ("Mozilla/5.0 (compatible; Nmap Scripting Engine)", "scanner"),
    ],
)
def test_an_agent_that_names_itself_is_a_machines(agent: str, machine: str) -> None:
    for kind in (OPEN, CLICK):
        assert by_agent(kind, agent.encode()) == (Verdict.MACHINE, f"agent:{machine}")


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            "google_image_proxy",
        ),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "yahoo_mail_proxy"),
        ("hey.com/imageproxy Mozilla/5.0 (X11; Linux x86_64) Chrome/134.0.0.0 Safari/537.36", "hey_image_proxy"),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/118.0.5993.117 Safari/537.36 FastmailUA/1.0", "fastmail_image_proxy"),
        ("Mozilla/5.0 SeznamEmailProxy/2.0.174", "seznam_mail_proxy"),
        ("Shortwave Image Fetcher", "shortwave_image_proxy"),
        ("Camo Asset Proxy 2.3.0", "camo"),
        ("github-camo (0f0e0d0c)", "camo"),
        ("go-camo", "camo"),
        ("Go-Camo/2.6.1", "camo"),
        ("camo-rs/1.3.0 (+https://forum.example)", "camo"),
        ("Gamo Asset Proxy", "camo"),
        ("imgproxy/3.21.0", "image_proxy"),
        ("Superhuman Image Proxy", "image_proxy"),
        ("RamblerMail/6.0 (incompatible; ImageProxy/6.0)", "rambler_image_proxy"),
        ("Mozilla/5.0 Chrome/55.0 Safari/537.36 (via secureurl.fwdcdn.com - mail.ukr.net proxy)", "ukrnet_mail_proxy"),
    ],
)
def test_an_image_proxy_opens_for_its_reader_and_clicks_for_nobody(agent: str, reason: str) -> None:
    assert by_agent(OPEN, agent.encode()) == (Verdict.PROXY, reason)
    assert by_agent(CLICK, agent.encode()) == (Verdict.MACHINE, reason)


NAMED = [(name, kind) for kind, names in NAMES for name in names]
BORDERS = st.sampled_from(["/", "; ", " (", "-", "_", "\t", ")", "+", "é"])


@given(st.sampled_from(NAMED), st.sampled_from(ORDINARY), BORDERS, st.sampled_from([str.upper, str.title, str.lower]))
def test_a_name_is_found_in_any_agent_in_any_case_between_any_borders(
    named: tuple[bytes, str], ordinary: str, border: str, case: object
) -> None:
    name, kind = named
    assert callable(case)
    said = case(name.decode()).replace(" ", border)
    assert by_agent(CLICK, f"{ordinary}{border}{said}{border}1.0".encode()) == (Verdict.MACHINE, f"agent:{kind}")


# The field's own words say what a machine is wherever they stand.
INNER = [name for name, _ in NAMED if not name.endswith(b"bot") and not any(word in name for word, _ in FIELD_WORDS)]


@given(st.sampled_from(INNER), st.sampled_from([agent for agent in ORDINARY if agent]))
def test_the_end_of_another_word_is_not_a_name(name: bytes, ordinary: str) -> None:
    agent = ordinary.encode() + b" x" + name.replace(b" ", b"x")
    assert by_agent(CLICK, agent) == (Verdict.HUMAN, None)


WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789 -_", max_size=30)


@given(WORDS, st.sampled_from(sorted(LISTED)))
@example("", b"googleimageproxy")
def test_a_telephone_may_be_named_like_anything(model: str, listed: bytes) -> None:
    agent = ANDROID.format(f"{model} {listed.decode()} bot Build/MRA58K; wv")
    assert by_agent(CLICK, agent.encode()) == (Verdict.HUMAN, None)


PATTERNS = st.text(max_size=40) | st.fixed_dictionaries(
    {"pattern": st.text(max_size=40)}, optional={"tags": st.lists(st.text(max_size=9)), "url": st.integers()}
)


@given(st.lists(PATTERNS, max_size=20), st.binary(max_size=600))
def test_any_list_is_used_or_refused_and_finds_only_what_begins_a_word(entries: list[object], agent: bytes) -> None:
    try:
        found = AgentNames.read(json.dumps(entries))
    except AgentNamesError:
        return
    said = words(agent)
    kind = found.kind(said)
    beginning = any(
        said.startswith(name, place + 1) for name in found for place in range(len(said)) if said[place] == 32
    )
    assert kind is None or beginning


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_is_not_a_list_is_refused_as_such(document: object) -> None:
    with contextlib.suppress(AgentNamesError):
        AgentNames.read(json.dumps(document))


@pytest.mark.parametrize("pattern", ["(a+)+$", "[Cc]urebot", "a.*b", "x{9}", "curl", "^Java\\/", "abc", "1234"])
def test_what_is_more_than_a_name_and_what_people_use_is_passed_over(pattern: str) -> None:
    with pytest.raises(AgentNamesError):
        AgentNames.read(json.dumps([pattern]))


@given(st.binary(max_size=600))
def test_case_changes_nothing(agent: bytes) -> None:
    assert by_agent(CLICK, agent.upper()) == by_agent(CLICK, agent.lower())

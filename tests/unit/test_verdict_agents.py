"""What user agents are taken for: ordinary ones for people's, those that name themselves for machines'."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.aggregator.verdicts.agents import NAMES, PHONES, by_agent
from postmeter.shared.events import EventType, Verdict

OPEN, CLICK = EventType.OPENED, EventType.CLICKED
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
ANDROID = "Mozilla/5.0 (Linux; Android 9; {}) " + CHROME + " Mobile Safari/537.36"
MODELS = [
    "CUBOT", "CUBOT_X19", "CUBOT KINGKONG 5 Pro", "Hubot", "M bot 51", "M_bot_tab_1150", "C Bot Tab 100", "POWER BOT",
    "VR BOT 552 PLUS", "B BOT 550", "ID bot 53+", "IDbot553", "XBot_Senior", "Spider 8", "SM-S911B; wv", "K",
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
    *(ANDROID.format(model) for model in MODELS),
    *(ANDROID.format(f"{model} Build/MRA58K; wv") for model in MODELS),
]  # fmt: skip


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
        ("Quora-Bot/1.0 (http://www.quora.com)", "crawler"),
        ("Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)", "crawler"),
        ("Mediapartners-Google", "crawler"),
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


@given(st.sampled_from([name for name, _ in NAMED if not name.endswith(b"bot")]), st.sampled_from(ORDINARY))
def test_the_end_of_another_word_is_no_name(name: bytes, ordinary: str) -> None:
    agent = ordinary.encode() + b" x" + name.replace(b" ", b"x")
    assert by_agent(CLICK, agent) == (Verdict.HUMAN, None)


@given(
    st.sampled_from(sorted(PHONES)),
    st.sampled_from(["", " ", "_", "-"]),
    st.from_regex(r"[A-Z]?[0-9]{0,4}( Pro)?", fullmatch=True),
)
def test_a_telephone_is_no_crawler(phone: bytes, border: str, model: str) -> None:
    agent = ANDROID.format(f"{phone.decode().title()}{border}{model}; wv")
    assert by_agent(CLICK, agent.encode()) == (Verdict.HUMAN, None)


@given(st.binary(max_size=600))
def test_case_changes_nothing(agent: bytes) -> None:
    assert by_agent(CLICK, agent.upper()) == by_agent(CLICK, agent.lower())

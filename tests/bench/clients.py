"""Who fetches a mail's images and links: user agents and networks of people, proxies, scanners and previews.

From PEERS of the field and from what vendors and senders publish of their clients and logs.
"""

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
MAIL_APPS = [
    "okhttp/4.12.0",
    "Dalvik/2.1.0 (Linux; U; Android 12; SM-G970U Build/SP1A.210812.016)",
    "Mail/3774.600.62 CFNetwork/1494.0.7 Darwin/23.4.0",
]
"""Mail programs that fetch images by the library that they are made of."""
OFFICE_PROBE = "Microsoft Office Existence Discovery"
"""Office asks so whether a link exists, before it gives it to the browser."""

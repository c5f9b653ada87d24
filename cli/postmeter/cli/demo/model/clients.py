"""What people read and browse with: mail programs, image proxies and browsers, by what they say of themselves.

Addresses are of the ranges for documentation (RFC 5737, RFC 3849); what is judged by its network is in `machines`.
"""

from __future__ import annotations

import random
from typing import NamedTuple

_CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_ANDROID = "Mozilla/5.0 (Linux; Android 15; {}) AppleWebKit/537.36 (KHTML, like Gecko) {} Mobile Safari/537.36"
_DESKS = (
    _CHROME.format(141),
    _CHROME.format(142),
    f"{_CHROME.format(142)} Edg/142.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
)
_MACS = (f"{_MAC} Version/18.5 Safari/605.1.15",)
_PHONES = (_ANDROID.format("K", "Chrome/142.0.0.0"), _ANDROID.format("K", "SamsungBrowser/28.0 Chrome/130.0.0.0"))
_IPHONES = (f"{_IPHONE} Version/18.5 Mobile/15E148 Safari/604.1",)


class Client(NamedTuple):
    """What images are fetched with, and what links are followed with. ahead: images are fetched by a privacy relay soon
    after delivery, whether somebody reads or not."""

    images: str
    browsers: tuple[str, ...]
    ahead: bool = False


CLIENTS = {
    "gmail": Client(
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", _DESKS + _PHONES
    ),
    "apple_privacy": Client("Mozilla/5.0", _IPHONES + _IPHONES + _MACS, ahead=True),
    "apple": Client(f"{_IPHONE} Mobile/15E148", _IPHONES),
    "yahoo": Client("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", _DESKS + _PHONES),
    "fastmail": Client("Mozilla/5.0 (compatible; FastMailUA/1.0; +https://fastmail.com/policies/bots)", _DESKS),
    "outlook": Client(
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Win64; x64; Trident/7.0; ms-office; MSOffice 16)", _DESKS
    ),
    "outlook_web": Client(_DESKS[2], _DESKS[2:3]),
    "thunderbird": Client(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0", _DESKS
    ),
    "browser": Client(_DESKS[0], _DESKS),
    "android": Client(_ANDROID.format("Pixel 8; wv", "Version/4.0 Chrome/142.0.0.0"), _PHONES),
}
_USUAL = {"browser": 0.45, "android": 0.22, "apple_privacy": 0.2, "thunderbird": 0.13}
_BY_PROVIDER = {
    "gmail": {"gmail": 0.64, "apple_privacy": 0.24, "android": 0.08, "thunderbird": 0.04},
    "outlook": {"outlook_web": 0.48, "outlook": 0.2, "apple_privacy": 0.22, "android": 0.1},
    "icloud": {"apple_privacy": 0.8, "apple": 0.2},
    "yahoo": {"yahoo": 0.6, "apple_privacy": 0.28, "android": 0.12},
    "fastmail": {"fastmail": 0.6, "apple_privacy": 0.2, "thunderbird": 0.2},
    "google_workspace": {"gmail": 0.8, "apple_privacy": 0.2},
    "microsoft_365": {"outlook": 0.5, "outlook_web": 0.3, "apple_privacy": 0.2},
}


def client_of(noise: random.Random, provider: str) -> str:
    """The name in CLIENTS of what somebody reads with, by where the mailbox is."""
    shares = _BY_PROVIDER.get(provider, _USUAL)
    return noise.choices(list(shares), list(shares.values()))[0]


_RANGES = ("192.0.2", "198.51.100", "203.0.113")


def address_of(noise: random.Random) -> str:
    """An address that belongs to nobody."""
    if noise.random() < 0.35:
        return f"2001:db8:{noise.randrange(0x1000):x}:{noise.randrange(0x100):x}::{noise.randrange(1, 0xFFFF):x}"
    return f"{noise.choice(_RANGES)}.{noise.randrange(1, 255)}"

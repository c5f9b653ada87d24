"""What kind of browser somebody signs in from."""

import pytest

from postmeter.gateway.people.browser import kinds

MOZILLA = "Mozilla/5.0 "
WEBKIT = " AppleWebKit/537.36 (KHTML, like Gecko) "


@pytest.mark.parametrize(
    ("user_agent", "family", "system"),
    [
        (MOZILLA + "(X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0", "Firefox", "Linux"),
        (MOZILLA + f"(Windows NT 10.0; Win64; x64){WEBKIT}Chrome/139.0.0.0 Safari/537.36", "Chrome", "Windows"),
        (MOZILLA + f"(Windows NT 10.0){WEBKIT}Chrome/139.0 Safari/537.36 Edg/139.0", "Edge", "Windows"),
        (MOZILLA + f"(Linux; Android 15){WEBKIT}Chrome/139.0 Mobile Safari/537.36 EdgA/139.0", "Edge", "Android"),
        (MOZILLA + f"(X11; CrOS x86_64 14541.0.0){WEBKIT}Chrome/139.0 Safari/537.36", "Chrome", "ChromeOS"),
        (MOZILLA + f"(Macintosh; Intel Mac OS X 10_15_7){WEBKIT}Version/18.5 Safari/605.1.15", "Safari", "macOS"),
        (MOZILLA + f"(iPhone; CPU iPhone OS 18_5 like Mac OS X){WEBKIT}CriOS/139.0 Safari/604.1", "Chrome", "iPhone"),
        (MOZILLA + f"(iPad; CPU OS 18_5 like Mac OS X){WEBKIT}FxiOS/142.0 Safari/605.1.15", "Firefox", "iPad"),
        (MOZILLA + f"(Linux; Android 14){WEBKIT}SamsungBrowser/28.0 Chrome/130.0", "Samsung Internet", "Android"),
        (MOZILLA + f"(X11; Linux x86_64){WEBKIT}Chrome/139.0 Safari/537.36 OPR/122.0", "Opera", "Linux"),
        ("curl/8.14.1", "curl", None),
        ("<script>alert(1)</script>", None, None),
        ("", None, None),
    ],
)  # fmt: skip
def test_it_is_told_by_family_alone(user_agent: str, family: str | None, system: str | None) -> None:
    assert kinds.of(user_agent) == (family, system)

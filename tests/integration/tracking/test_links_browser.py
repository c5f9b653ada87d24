"""Instrumented mails in a real browser: where links lead, and whether the pixel is seen."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page, Route

from postmeter.shared.links.tokens import KeyRing
from postmeter.shared.privacy.levels import FULL
from postmeter.shared.storage import uuid7
from postmeter.tracking.html.instrumentation import Instrument, Instrumented
from tests import browser as browsers

INSTRUMENT = Instrument(KeyRing({1: b"k" * 32}), "https://t.example.net")
MESSAGE = uuid7.new().bytes
SLOWLY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def apply(html: str) -> Instrumented:
    return INSTRUMENT.apply(html, 7, MESSAGE, FULL, honeypot=True)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browsers.running() as browser:
        yield browser.new_page()


# The URL that a browser makes of the first link, and of `url`; "" for none.
READ = """([html, url]) => {
    const parsed = (text) => { try { return new URL(text).href } catch { return "" } }
    const document = new DOMParser().parseFromString(html, "text/html")
    return [parsed(document.querySelector("a").getAttribute("href")), parsed(url)]
}"""
URL_PIECES = st.lists(
    st.sampled_from(
        [
            *("https://", "HTTP://", "a.example", "/", "/p", "?q=1", "#f", "x", "%20", "%", "ä", ":8443"),
            *("&amp;b", "&nbsp;", "&#9;", "&#10;", "&#13;", "&#32;", "&#1;", "&#160;", "&#0;"),
            *" \t\n\r\f\x0b\x01\x1f\x7f\u00a0\u2003\u2028\ufeff",
        ]
    ),
    max_size=12,
).map("".join)


@SLOWLY
@given(st.sampled_from(["", "https://a.example/"]), URL_PIECES, URL_PIECES)
@example("https://a.example/", "\n\tx y\u00a0", "")
@example("", " ht\ntps://a.ex\tample/\r\n", "")
@example("", "\x01https://a.example/\x1f", "")
@example("", "https://a.example\u00a0", "")
def test_a_link_leads_where_a_browser_would_have_gone(page: Page, start: str, url: str, more: str) -> None:
    html = f'<a href="{url}{start}{more}">x</a>'
    done = apply(html)
    if not done.links:
        assert done.untracked or "href" not in html
        return
    (link,) = done.links
    meant, signed = page.evaluate(READ, [html, link.url])
    assert signed == meant != ""


# Whether the pixel is the one image of ours that a reader without scripts sees.
SEEN = """(html) => {
    const document = new DOMParser().parseFromString(html, "text/html")
    const images = document.querySelectorAll('img[src^="https://t.example.net/"]')
    return images.length === 1 && document.body.contains(images[0]) && images[0].closest(
        "template, noscript, select, svg, math, object, video, audio, canvas, picture, details, dialog, datalist"
    ) === null
}"""
HIDING = ["style", "title", "script", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript", "template"]
HIDING += ["select", "svg", "math", "object", "video", "audio", "canvas", "picture", "details", "dialog", "datalist"]
PARTS = st.sampled_from(
    [f"<{name}>" for name in HIDING]
    + [f"</{name}>" for name in HIDING]
    + [f"<{name}>x</{name}>" for name in HIDING]
    + ["<!--[if mso]>", "<![endif]-->", "<!--[if !mso]><!-->", "<!--<![endif]-->", "<!-- <![endif]-->"]
    + ["<!--[if gte mso 9]><xml><o:x/></xml><![endif]-->", "<![if !mso]>", "<![endif]>"]
    + ["<!--", "-->", "<!-- c -->", "<!-->", "--!>", "<a href='", "<td", "<![", "</", "<svg/>", "<plaintext>"]
    + ["<table>", "<tr>", "<td>", "</table>", "<p>", "text", "<body>", "<head>", "</head>", "<html>"]
    + ["</body>", "</body>", "</html>", '<a href="https://a.example/">', "</a>"]
)


@SLOWLY
@given(st.lists(PARTS, max_size=12))
@example(["<body>", "text", "<!--[if mso]>", "</body>", "<![endif]-->"])
@example(["<!--", "</body>"])
@example(["<!--[if mso]>", "<svg>", "</body>"])
@example(["<!--[if mso]>", "<![endif]>", "<svg>", "-->"])
@example(["<title>", "</body>"])
@example(["<noscript>", "</body>", "</noscript>", "</body>"])
def test_the_pixel_is_seen_whatever_is_left_open(page: Page, parts: list[str]) -> None:
    html = "".join(parts)
    done = apply(html).html
    assert page.evaluate(SEEN, done)


CONDITIONAL_PARTS = st.sampled_from(
    [
        *(
            "<!--[if mso]>",
            "<!--[if !mso]><!-->",
            "<![if !mso]>",
            "<!--[if gte mso 9]>",
            "<![endif]-->",
            "<!--<![endif]-->",
        ),
        *("<!-- <![endif]-->", "<![endif]>", "-->", "<!-- c -->", "<style>p{}</style>", "<table>", "</table>", "text"),
        *("</body>", "</body>", '<v:rect href="https://a.example/">', "<select>", "</select>"),
    ]
)


@SLOWLY
@given(st.lists(CONDITIONAL_PARTS, max_size=12))
@example(["<!--[if mso]>", "</body>", "<![endif]-->", "</body>", "<!--[if mso]>", "</body>", "<![endif]-->"])
@example(["<select>", "<!--[if mso]>", "</select>", "<![endif]-->"])
def test_the_pixel_is_neither_for_outlook_only_nor_for_all_others(page: Page, parts: list[str]) -> None:
    done = apply("".join(parts)).html
    assert page.evaluate(SEEN, done)
    before = done[: done.index("<img ")]
    assert before.rfind("[if") <= before.rfind("[endif]")


def test_the_pixel_and_no_other_url_of_ours_is_loaded(page: Page) -> None:
    done = apply('<!--[if mso]><p></body><![endif]--><a href="https://a.example/">x</a><style>p{}')
    loaded: list[str] = []

    def noted(route: Route) -> None:
        loaded.append(route.request.url)
        route.abort()

    page.route("**/*", noted)
    page.set_content(done.html, wait_until="load")
    assert loaded == [INSTRUMENT.open_url(7, MESSAGE)]
    page.unroute("**/*")

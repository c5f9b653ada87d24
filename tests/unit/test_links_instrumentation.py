"""Instrumented mails: the pixel, the tracked links, and every other byte as it was."""

from html.parser import HTMLParser
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.links.tokens import CLICK, HONEYPOT, OPEN, KeyRing
from postmeter.shared.privacy.levels import Level, Levels
from postmeter.shared.storage import uuid7
from postmeter.tracking.html.instrumentation import Instrument, Instrumented, hidden_link, pixel
from postmeter.tracking.html.placeholders import holds_placeholder
from postmeter.tracking.html.scanner import MAX_LINKS, TooManyLinks

KEYS = KeyRing({1: b"k" * 32})
BASE = "https://t.example.net/base"
INSTRUMENT = Instrument(KEYS, BASE)
MESSAGE = uuid7.new().bytes


def apply(html: str, *, opens: bool = True, clicks: bool = True, honeypot: bool = False) -> Instrumented:
    return INSTRUMENT.apply(
        html,
        7,
        MESSAGE,
        Levels(Level.FULL if opens else Level.OFF, Level.FULL if clicks else Level.OFF),
        honeypot=honeypot,
    )


def undo(done: Instrumented, html: str) -> str:
    """Take every splice back out of the new HTML, with what stood there before."""
    result, shift = done.html, 0
    for one in done.splices:
        start = one.start + shift
        assert result[start : start + len(one.text)] == one.text
        before = html[one.start : one.end]
        result = result[:start] + before + result[start + len(one.text) :]
    return result


def destination_of(tracking_url: str, purpose: int = CLICK) -> str:
    """Where a tracking URL leads, by its query; its token must cover exactly that."""
    parts = urlsplit(tracking_url)
    (url,) = parse_qs(parts.query)["url"]
    token = parts.path.removeprefix("/base" + CLICK_PATH)
    assert KEYS.verify(token.encode(), purpose, url.encode()) == (7, MESSAGE)
    return url


ATTRIBUTE = st.sampled_from(["", ' class="b"', " style='c:d'", "\n\ttarget=_blank", ' title=">"'])
URLS = st.builds(
    "https://{}.example/{}".format,
    st.sampled_from(["a", "bücher", "A.b"]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x2FF, exclude_categories=["Cc", "Cs", "Zs"]), max_size=30),
)


SPACES = st.text(st.sampled_from(" \t\n\f\r"), max_size=4)


def quoted(url: str, quote_mark: str, before: str = "", after: str = "") -> str:
    text = url.replace("&", "&amp;").replace('"', "&quot;").replace("'", "&#39;").replace("<", "&lt;")
    return f"{quote_mark}{before}{text}{after}{quote_mark}"


ANCHORS = st.builds(
    lambda tag, before, value, after: (f"<{tag}{before} href={quoted(*value)}{after}>", value[0]),
    st.sampled_from(["a", "a", "area", "v:roundrect"]),
    ATTRIBUTE,
    st.tuples(URLS, st.sampled_from(["'", '"']), SPACES, SPACES),
    ATTRIBUTE,
)
OTHER = st.sampled_from(
    [
        "text ",
        "\r\n",
        "<td>",
        "<!-- c -->",
        "<!--[if mso]>",
        "<![endif]-->",
        "<style>a{}</style>",
        "&nbsp;",
        "<br/>",
        "é",
        "</a>",
        '<a href="#top">',
        '<a href="mailto:a@b.example">',
        "</body>",
        "</BODY\n>",
        "<IMG SRC=x>",
    ]
)
MAILS = st.lists(st.one_of(ANCHORS, OTHER.map(lambda text: (text, None))), max_size=15)


@given(MAILS, st.booleans(), st.booleans(), st.booleans())
def test_undoing_the_splices_gives_back_the_input(
    mail: list[tuple[str, str | None]], opens: bool, clicks: bool, honeypot: bool
) -> None:
    html = "".join(text for text, _ in mail)
    done = apply(html, opens=opens, clicks=clicks, honeypot=honeypot)
    assert undo(done, html) == html
    if not opens and not clicks:
        assert done.html == html


@given(MAILS, st.booleans(), st.booleans())
def test_the_honeypot_is_one_splice_more_before_the_pixel_and_leads_where_the_first_link_does(
    mail: list[tuple[str, str | None]], opens: bool, clicks: bool
) -> None:
    html = "".join(text for text, _ in mail)
    plain, done = (apply(html, opens=opens, clicks=clicks, honeypot=wanted) for wanted in (False, True))
    assert (plain.honeypot_url, done.links) == (None, plain.links)
    if not done.links:
        assert done == plain
        return
    assert done.honeypot_url is not None
    assert destination_of(done.honeypot_url, HONEYPOT) == done.links[0].url
    (trap,) = (one for one in done.splices if one not in plain.splices)
    assert [one for one in done.splices if one is not trap] == plain.splices
    assert (trap.start, trap.text) == (trap.end, hidden_link(done.honeypot_url))
    after = pixel(INSTRUMENT.open_url(7, MESSAGE)) if opens else ""
    assert done.html.count(trap.text + after) == 1
    assert done.html.replace(trap.text, "", 1) == plain.html


class Shown(HTMLParser):
    """The anchor of the honeypot as a real parser reads it, and all text that is shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.anchors.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_nobody_sees_hears_or_reaches_the_honeypot() -> None:
    html = '<p>Hello <a href="https://a.example/?a=1&amp;b=2">you</a></p>'
    done = apply(html, honeypot=True)
    shown = Shown(done.html)
    assert shown.text == "Hello you"
    assert shown.anchors[1] == {
        "href": done.honeypot_url,
        "style": "display:none;mso-hide:all",
        "tabindex": "-1",
        "aria-hidden": "true",
    }


def test_a_mail_that_was_instrumented_is_not_instrumented_again() -> None:
    done = apply('<a href="https://a.example/">x</a>', honeypot=True)
    again = apply(done.html, opens=False, honeypot=True)
    assert (again.html, again.links, again.honeypot_url) == (done.html, [], None)


class Hrefs(HTMLParser):
    """What a real parser makes of the result."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.pixels: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        href = (values.get("href") or "").strip(" \t\n\f\r")
        if tag in ("a", "area", "v:roundrect") and href.startswith("http"):
            self.hrefs.append(href)
        if tag == "img" and (values.get("src") or "").startswith("http"):
            self.pixels.append(values["src"] or "")


@given(st.lists(st.one_of(ANCHORS, st.sampled_from([("text", None), ("<td>", None), ("</a>", None)])), max_size=10))
def test_a_real_parser_sees_the_tracking_urls_and_they_lead_where_the_links_led(
    mail: list[tuple[str, str | None]],
) -> None:
    html = "".join(text for text, _ in mail) + "</body>"
    wanted = [url for _, url in mail if url is not None]
    seen = Hrefs(apply(html).html)
    leads = [destination_of(url) if url.startswith(BASE) else url for url in seen.hrefs]
    assert leads == wanted
    # Only what may be a template's placeholder, or is not a destination, is left alone.
    for url in seen.hrefs:
        assert url.startswith(BASE) or holds_placeholder(url) or any(mark in url for mark in "\\@")
    assert len(seen.pixels) == 1


@pytest.mark.parametrize(
    "html",
    [
        '<a href="mailto:a@b.example">',
        '<a href="tel:+49123">',
        '<a href="sms:1">',
        '<a href="#part">',
        '<a href="/relative">',
        '<a href="">',
        '<a href="javascript:x()">',
        '<a href="ftp://a.example/">',
        '<a href="{{ url }}">',
        '<a href="https://a.example/{{id}}">',
        '<a href="https://a.example/%%id%%">',
        '<a href="*|UNSUB|*">',
        '<a href="https://a.example/*|ID|*">',
        '<a href="https://a.example/[[id]]">',
        '<a data-skip-click href="https://a.example/">',
        '<a href="https://a.example/" DATA-SKIP-CLICK=1>',
        '<a class="small unsubscribe" href="https://a.example/">',
        '<a rel=unsubscribe href="https://a.example/">',
        '<a href="https://good@evil.example/">',
        '<a href="https://a.example b/">',
        '<a href="\u00a0https://a.example/">',
        '<a href=" {{ url }} ">',
        '<a href=" ">',
        '<v:rect href="#top"><v:rect data-skip-click href="https://a.example/">',
        '<v:fill src="https://a.example/">',
        "<a name=x>",
    ],
)
def test_left_alone(html: str) -> None:
    done = apply(html, opens=False)
    assert (done.html, done.links, done.splices) == (html, [], [])


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("https://a.example/?a=1&amp;b=2", "https://a.example/?a=1&b=2"),
        ("https://a.example/?a=1&b=2", "https://a.example/?a=1&b=2"),
        ("https://a.example/?a=%26amp;+%2B#f", "https://a.example/?a=%26amp;+%2B#f"),
        ("https://a.example/&#x2F;&#47;&amp;amp;", "https://a.example///&amp;"),
        ("https://bücher.example/ü", "https://bücher.example/ü"),
        ("HTTPS://A.example", "HTTPS://A.example"),
    ],
)
def test_the_destination_is_what_the_browser_would_have_read(written: str, url: str) -> None:
    done = apply(f'<a href="{written}">', opens=False)
    (link,) = done.links
    assert (link.url, destination_of(link.tracking_url)) == (url, url)
    assert link.tracking_url.endswith("?url=" + quote(url, safe=""))
    assert done.html == f'<a href="{link.tracking_url}">'


@pytest.mark.parametrize(
    ("before", "url", "after"),
    [
        ('<a href="', "https://a.example/", '\r\n   ">x</a>'),
        ("<a href='\n\t", "https://a.example/", "'>x</a>"),
        ("<area href=\n", "https://a.example/", "\t>"),
        (
            '<!--[if mso]><v:roundrect xmlns:v="urn:schemas-microsoft-com:vml" href="',
            "https://a.example/",
            '" style="height:40px"><w:anchorlock/><center>Go</center></v:roundrect><![endif]-->',
        ),
        ('<v:shape href=" ', "https://a.example/", ' "/>'),
    ],
)
def test_only_the_url_itself_is_replaced(before: str, url: str, after: str) -> None:
    done = apply(before + url + after, opens=False)
    (link,) = done.links
    assert (link.url, destination_of(link.tracking_url)) == (url, url)
    assert done.html == before + link.tracking_url + after


def test_white_space_written_as_references_is_not_part_of_the_destination() -> None:
    done = apply('<a href="&#10; https://a.example/&#x20;">', opens=False)
    assert [link.url for link in done.links] == ["https://a.example/"]
    assert done.html == f'<a href="{done.links[0].tracking_url}">'


def test_a_destination_is_listed_once() -> None:
    done = apply('<a href="https://a.example/"><a href="https://b.example/"><a href=\'https://a.example/\'>')
    assert [link.url for link in done.links] == ["https://a.example/", "https://b.example/"]
    assert len(done.splices) == 4


@pytest.mark.parametrize(
    ("html", "before"),
    [
        ("<body>x</body></html>", "</body></html>"),
        ("<body></body>x</BODY >", "</BODY >"),
        ("<body>x<!-- </body> --></body>", "</body>"),
        ("<body>x<!-- </body> -->", ""),
        ("x", ""),
        ("", ""),
    ],
)
def test_the_pixel_stands_before_the_last_end_of_the_body_or_at_the_end(html: str, before: str) -> None:
    done = apply(html)
    (pixel,) = done.splices
    assert done.html == html.removesuffix(before) + pixel.text + before
    (source,) = Hrefs(pixel.text).pixels
    token = urlsplit(source).path.removeprefix("/base" + OPEN_PATH)
    assert KEYS.verify(token.encode(), OPEN) == (7, MESSAGE)


def test_a_level_decides_whom_links_name_and_whether_there_is_a_trap() -> None:
    html, source = '<a href="https://a.example/">x</a>', uuid7.new().bytes
    levels = Levels(Level.ANONYMOUS, Level.ANONYMOUS)
    done = INSTRUMENT.apply(html, 7, MESSAGE, levels, source=source, honeypot=True)
    assert done.honeypot_url is None
    token = urlsplit(done.links[0].tracking_url).path.removeprefix("/base" + CLICK_PATH).encode()
    assert KEYS.verify_one_of((CLICK,), token, b"https://a.example/") == (CLICK, 7, source, Level.ANONYMOUS)
    token = done.html.partition(OPEN_PATH)[2].partition('"')[0].encode()
    assert KEYS.verify_one_of((OPEN,), token) == (OPEN, 7, source, Level.ANONYMOUS)


def test_only_amp_refuses_a_pixel_without_https() -> None:
    plain = Instrument(KEYS, "http://localhost:8081")
    full = Levels(Level.FULL, Level.FULL)
    assert "<img " in plain.apply("<p>Hello</p>", 7, MESSAGE, full).html
    assert "<amp-img " not in plain.apply("<html amp4email><body>Hello</body></html>", 7, MESSAGE, full).html


def test_a_mail_has_so_many_links_and_not_one_more() -> None:
    link = '<a href="https://a.example/">x</a>'
    assert len(apply(link * MAX_LINKS).splices) == MAX_LINKS + 1
    with pytest.raises(TooManyLinks):
        apply(link * (MAX_LINKS + 1))

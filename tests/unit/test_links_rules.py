"""Links that are left alone: our own, and those that say so; and what the answer tells of them."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.apis.mail.messages import Reason, Untracked
from postmeter.shared.links.tokens import KeyRing
from postmeter.shared.privacy.levels import FULL, Level, Levels
from postmeter.tracking.html.instrumentation import LISTED_CHARS, MOST_LISTED, Instrument, Instrumented

OLD, NEW = KeyRing({1: b"k" * 32}), KeyRing({2: b"n" * 32, 1: b"k" * 32})
MESSAGE = bytes(range(16))
"""Fixed: ids of tests are made of URLs that hold it, and every process that runs tests must find the same."""
NOW = Instrument(NEW, "https://t.example.net")


def apply(html: str) -> Instrumented:
    return NOW.apply(html, 7, MESSAGE, Levels(Level.OFF, Level.FULL))


def only_reason(html: str) -> str:
    """Why the one link of `html` was left alone; it must not have been touched."""
    done = apply(html)
    assert (done.html, done.links) == (html, [])
    (left,) = done.untracked
    return left.reason


@st.composite
def own_urls(draw: st.DrawFn) -> str:
    """A URL of ours as it once was: of another host, path or key, written otherwise, with something appended."""
    once = Instrument(
        draw(st.sampled_from([OLD, NEW])),
        draw(st.sampled_from(["https://t.example.net", "http://old.example", "HTTPS://OTHER.example:8443/mail/x"])),
    )
    workspace, message = draw(st.integers(1, 9)), draw(st.binary(min_size=16, max_size=16))
    url = draw(
        st.sampled_from(
            [
                once.open_url(workspace, message),
                once.unsubscribe_url(workspace, message),
                once.click_url(workspace, message, "https://a.example/?a=1&b=ü#c"),
                once.honeypot_url(workspace, message, "https://a.example/"),
            ]
        )
    )
    target, mark, query = url.partition("?")
    place = draw(st.integers(target.index("/", 9) + 1, len(target) - 1))
    if target[place].isalnum() and draw(st.booleans()):
        target = f"{target[:place]}%{ord(target[place]):02x}{target[place + 1 :]}"
    query += draw(st.sampled_from(["", "&utm_source=x" if mark else "?utm_source=x", "#part"]))
    return target + mark + query


@given(own_urls(), st.sampled_from(["", " ", "\n"]))
def test_a_link_of_ours_is_never_tracked_again(url: str, space: str) -> None:
    written = url.replace("&", "&amp;").replace('"', "&quot;")
    assert only_reason(f'<a href="{space}{written}{space}">') is Reason.OURS


@pytest.mark.parametrize(
    "url",
    [
        "https://t.example.net/api/v1/track/click/",
        "https://t.example.net/api/v1/track/open/" + "A" * 48,
        KeyRing({1: b"x" * 32}).sign_open(7, MESSAGE).join(("https://t.example.net/api/v1/track/open/", "")),
        NOW.click_url(7, MESSAGE, "https://a.example/").replace("a.example", "b.example"),
        "https://a.example/?x=" + NEW.sign_open(7, MESSAGE),
    ],
)
def test_what_only_looks_like_ours_is_tracked(url: str) -> None:
    assert [link.url for link in apply(f'<a href="{url}">').links] == [url]


MARKS = [
    "data-skip-click",
    "DATA-SKIP-CLICK=1",
    "clicktracking=off",
    'clicktracking = "OFF"',
    "ses:no-track",
    'ses:no-track=""',
    'ses:no-track="true"',
    "data-pm-no-track",
    'data-msys-clicktrack="0"',
    'data-msys-unsubscribe="1"',
    "disable-tracking=true",
    'data-disable-tracking="true"',
    "mc:disable-tracking",
    "mautic:disable-tracking=true",
    "cm_dontconvertlink",
    'autotrack="false"',
    "data-as-no-track",
    "data-no-track=1",
    'class="btn untracked"',
    "class=mktNoTrack",
    "class=no-track-link",
    'xt="SPNOTRACK"',
    'rel="notrack noopener"',
    "rel=unsubscribe",
    'class="small Unsubscribe"',
    "class=vendor_dontTrack",
    "class=x-do-not-track",
    "data-no-click-tracking",
]
NO_MARKS = [
    "clicktracking=on",
    "data-msys-clicktrack=1",
    'data-disable-tracking="false"',
    "disable-tracking=false",
    "autotrack=true",
    'class="track tracked soundtrack"',
    "data-track-id=0",
    'title="do not track"',
    'style="x:untracked"',
    'class="suntrack-banner"',
    'class="casino-tracker piano_tracks volcanoTrack"',
    "data-casino-track-id=7",
]


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_of_whichever_tool_is_honoured_and_stays(mark: str) -> None:
    assert only_reason(f'<a {mark} href="https://a.example/">') is Reason.MARKED
    assert only_reason(f'<v:rect href="https://a.example/" {mark}>') is Reason.MARKED


@given(st.from_regex(r"[a-z]{2,8}", fullmatch=True), st.sampled_from(["no", "un", "dont", "disable"]))
def test_a_mark_begins_a_word(before: str, forbids: str) -> None:
    link = '<a class="{}" href="https://a.example/">'.format
    for joint in ("-", "_", ":"):
        assert only_reason(link(f"{before}{joint}{forbids}-track")) is Reason.MARKED
    assert only_reason(link(f"{before}{forbids.title()}Track")) is Reason.MARKED
    assert len(apply(link(f"x{before}{forbids}-track")).links) == 1


@pytest.mark.parametrize("mark", NO_MARKS)
def test_what_is_not_a_mark_is_tracked(mark: str) -> None:
    assert len(apply(f'<a {mark} href="https://a.example/">').links) == 1


@pytest.mark.parametrize(
    ("href", "reason"),
    [
        ("mailto:a@b.example", Reason.NOT_HTTP),
        ("#top", Reason.NOT_HTTP),
        ("", Reason.NOT_HTTP),
        ("/x", Reason.NOT_HTTP),
        ("httpx://a.example", Reason.NOT_HTTP),
        ("http\u017f://a.example", Reason.NOT_HTTP),
        ("https+notrack://a.example/", Reason.MARKED),
        ("{{ url }}", Reason.PLACEHOLDER),
        ("https://{{ host }}/", Reason.PLACEHOLDER),
        ("https://a b.example/", Reason.REFUSED),
        ("https://a.example&nbsp;/", Reason.REFUSED),
        ("https://u@a.example/", Reason.REFUSED),
        ("https://", Reason.REFUSED),
        ("https://a.example/" + "x" * 8192, Reason.REFUSED),
        ("https://a.example/" + "{{x}}" * 2000, Reason.REFUSED),
    ],
)
def test_each_reason(href: str, reason: Reason) -> None:
    assert only_reason(f'<a href="{href}">') is reason


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), max_size=8), st.integers(1, 300))
def test_what_is_listed_is_bounded_and_each_once(parts: list[str], times: int) -> None:
    hrefs = ["mailto:" + part for part in parts] + [f"mailto:{number}" for number in range(times)]
    hrefs = [quote(href, safe=":") for href in hrefs]
    done = apply("".join(f'<a href="{href}">' for href in hrefs * 2))
    wanted = list(dict.fromkeys(href[:LISTED_CHARS] for href in hrefs))
    assert len(done.untracked) <= MOST_LISTED
    assert all(isinstance(left, Untracked) and len(left.url) <= LISTED_CHARS for left in done.untracked)
    for left, href in zip(done.untracked, wanted, strict=False):
        assert left.url == href or left.url[:-1] == href[: LISTED_CHARS - 1]


SPACED = [
    ("https://a.example/a b", "https://a.example/a%20b"),
    ("https://a.example/\r\n  ?x=1", "https://a.example/%20%20?x=1"),
    ("https://a.exam\nple/\tx", "https://a.example/x"),
    ("ht\ntps://a.example/", "https://a.example/"),
    ("https://a.example/x&nbsp;y", "https://a.example/x%C2%A0y"),
    ("https://a.example/x ", "https://a.example/x"),
    ("\x01https://a.example/x\x1f", "https://a.example/x"),
    ("https://a.example/&#0;", "https://a.example/\ufffd"),
]


@pytest.mark.parametrize(("written", "url"), SPACED)
def test_white_space_is_read_as_browsers_read_it(written: str, url: str) -> None:
    assert [link.url for link in apply(f'<a href="{written}">').links] == [url]


AMP = "<!doctype html><html {} lang=en><head></head><body><p>x{}</p></body></html>"
LINK = '<a href="https://a.example/">y</a>'


@pytest.mark.parametrize("sign", ["amp4email", "AMP4EMAIL=''", "⚡4email", "⚡\ufe0f4email"])
def test_an_amp_part_gets_tags_that_amp_has(sign: str) -> None:
    html = AMP.format(sign, LINK)
    done = NOW.apply(html, 7, MESSAGE, FULL, honeypot=True)
    pixel = f'<amp-img src="{NOW.open_url(7, MESSAGE)}" width="1" height="1" alt=""></amp-img>'
    trap = f'<a href="{done.honeypot_url}" hidden tabindex="-1" aria-hidden="true"></a>'
    link = f'<a href="{done.links[0].tracking_url}">y</a>'
    assert done.html == html.replace(LINK, link).replace("</body>", trap + pixel + "</body>")
    assert done.untracked == []


def test_without_https_an_amp_part_has_no_pixel_and_the_answer_says_so() -> None:
    here = Instrument(NEW, "http://127.0.0.1:8081")
    html = AMP.format("amp4email", "")
    done = here.apply(html, 7, MESSAGE, FULL)
    assert done.html == html
    assert done.untracked == [Untracked(here.open_url(7, MESSAGE)[:LISTED_CHARS], Reason.AMP_NEEDS_HTTPS)]
    assert "<img " in here.apply(html.replace("amp4email", ""), 7, MESSAGE, FULL).html

"""What others append to a click's URL arrives, and what is signed stays as it is."""

from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postmeter.shared.errors import ClickRefused, DestinationRefused
from postmeter.shared.links import click_url, destination
from postmeter.shared.links.tokens import CLICK, HONEYPOT, KeyRing

KEYS = KeyRing({1: b"k" * 32})
MESSAGE = bytes(range(16))

DESTINATIONS = st.builds(
    "https://{}{}{}{}".format,
    st.sampled_from(["a.example", "bücher.example", "[2001:db8::1]:8443", "A.example:80"]),
    st.sampled_from(["", "/", "/a%20b/c", "/ü", "/a&b"]),
    st.sampled_from(["", "?", "?a=1", "?utm_source=own&b", "?a=1&", "?q=1%2B1+x%26y"]),
    st.sampled_from(["", "#", "#part", "#a?b&c=d#e"]),
)
NAMES = st.one_of(st.sampled_from(["utm_source", "fbclid", "a", "URL", "urls", "amp;x"]), st.text(max_size=8))
PARAMETERS = st.builds(
    lambda name, value: quote(name, safe="") + value,
    NAMES.filter(lambda name: name != "url"),
    st.one_of(st.just(""), st.text(max_size=12).map(lambda text: "=" + quote(text, safe="/?:@!$'()*,;[]|\\"))),
).filter(lambda parameter: parameter and "?" not in parameter)


def token_of(url: str) -> bytes:
    return KEYS.sign_click(7, MESSAGE, url).encode()


@given(DESTINATIONS, st.lists(PARAMETERS, max_size=4), st.lists(PARAMETERS, max_size=4))
def test_parameters_that_others_append_arrive_behind_those_of_the_destination(
    url: str, before: list[str], after: list[str]
) -> None:
    query = "&".join([*before, f"url={quote(url, safe='')}", *after]).encode()
    purpose, workspace, message, level, signed, location = click_url.follow(KEYS, token_of(url), query)
    assert (purpose, workspace, message, level, signed) == (CLICK, 7, MESSAGE, 0, url)
    own, led = urlsplit(destination.location(url)), urlsplit(location)
    assert (led.scheme, led.netloc, led.path, led.fragment) == (own.scheme, own.netloc, own.path, own.fragment)
    assert led.query.startswith(own.query)
    added = parse_qsl("&".join(before + after), keep_blank_values=True)
    assert parse_qsl(led.query, keep_blank_values=True) == parse_qsl(own.query, keep_blank_values=True) + added
    if not before + after:
        assert location == destination.location(url)


@given(DESTINATIONS, st.binary(max_size=200))
@example("https://a.example/", b"\r\nX: y")
@example("https://a.example/", b"x#y\0\xff \x7f")
def test_whatever_is_appended_it_breaks_no_header_and_leads_to_no_other_place(url: str, appended: bytes) -> None:
    query = f"url={quote(url, safe='')}&".encode() + appended
    try:
        *_, signed, location = click_url.follow(KEYS, token_of(url), query)
    except ClickRefused:
        assert any(unquote(name.decode("latin-1")) == "url" for name in _names(appended))
        return
    assert signed == url
    assert location.isascii()
    assert location.isprintable()
    assert " " not in location
    own, led = urlsplit(destination.location(url)), urlsplit(location)
    assert (led.scheme, led.netloc, led.path, led.fragment) == (own.scheme, own.netloc, own.path, own.fragment)
    assert len(location) <= len(destination.location(url)) + click_url.APPENDED_BYTES


def _names(appended: bytes) -> list[bytes]:
    return [part.partition(b"=")[0] for part in appended.replace(b"?", b"&").split(b"&")]


@given(DESTINATIONS)
def test_a_question_mark_that_others_append_begins_their_parameters(url: str) -> None:
    clean = f"url={quote(url, safe='')}"
    usual = click_url.follow(KEYS, token_of(url), f"{clean}&fbclid=1&x=2".encode())
    assert click_url.follow(KEYS, token_of(url), f"{clean}?fbclid=1&x=2".encode()) == usual


def test_a_question_mark_that_somebody_has_decoded_is_still_part_of_the_destination() -> None:
    url = "https://a.example/?a=1"
    assert click_url.follow(KEYS, token_of(url), b"url=https://a.example/?a=1")[-2:] == (url, url)


@given(st.lists(st.integers(1, 1500), max_size=6))
def test_of_too_much_as_many_whole_parameters_are_passed_on_as_fit(sizes: list[int]) -> None:
    url = "https://a.example/"
    parameters = [f"{index}{'x' * size}" for index, size in enumerate(sizes)]
    query = "&".join([f"url={quote(url, safe='')}", *parameters]).encode()
    location = click_url.follow(KEYS, token_of(url), query)[-1]
    passed = [part for part in urlsplit(location).query.split("&") if part]
    assert passed == [parameter for parameter in parameters if parameter in passed]
    room = click_url.APPENDED_BYTES - sum(len(part) + 1 for part in passed)
    assert room >= 0
    assert all(len(parameter) >= room for parameter in parameters if parameter not in passed)


def test_what_is_appended_fits_to_the_byte() -> None:
    url, half = "https://a.example/", click_url.APPENDED_BYTES // 2 - 1
    for more, passed in ((0, 2), (1, 1)):
        query = f"url={quote(url, safe='')}&{'a' * half}&{'b' * (half + more)}".encode()
        location = click_url.follow(KEYS, token_of(url), query)[-1]
        assert len(urlsplit(location).query.split("&")) == passed


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        (b"", 404, "url"),
        (b"url=", 404, "url"),
        (b"x=1", 404, "url"),
        (b"url=https://a.example/&url=https://a.example/", 404, "url"),
        (b"url=https://a.example/&%75%72l=https://evil.example/", 404, "url"),
        (b"url=https://a.example/?url=https://evil.example/", 404, "url"),
        (b"url=https://evil.example/", 404, "signature"),
        (b"url=https://evil.example/?x", 404, "signature"),
        (b"url=https://a.example/%00", 400, "url"),
        (b"url=https://a.example/%ff&x", 400, "url"),
    ],
)
def test_refused(query: bytes, status: int, reason: str) -> None:
    with pytest.raises(ClickRefused) as refused:
        click_url.follow(KEYS, token_of("https://a.example/"), query)
    assert (refused.value.status, refused.value.reason) == (status, reason)


def test_a_destination_that_must_not_be_is_refused_although_it_is_signed() -> None:
    url = "javascript:alert(1)"
    with pytest.raises(DestinationRefused):
        destination.location(url)
    with pytest.raises(ClickRefused, match="destination"):
        click_url.follow(KEYS, token_of(url), f"url={quote(url)}&x=1".encode())


def test_the_honeypot_passes_on_what_is_appended_too() -> None:
    token = KEYS.sign_honeypot(7, MESSAGE, "https://a.example/").encode()
    purpose, *_, location = click_url.follow(KEYS, token, b"url=https://a.example/&x=1")
    assert (purpose, location) == (HONEYPOT, "https://a.example/?x=1")

"""Destinations: what may be redirected to, and that it arrives as it was written."""

from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.errors import DestinationRefused
from postmeter.shared.links.destination import MAX_BYTES, location

PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E))


@given(PRINTABLE)
def test_printable_ascii_comes_back_unchanged(rest: str) -> None:
    url = "https://shop.example/" + rest
    assert location(url) == url


@given(st.text(max_size=200))
def test_what_is_accepted_is_safe_in_a_header_and_leads_where_it_says(text: str) -> None:
    for url in (text, "https://" + text, "https://shop.example" + text):
        try:
            result = location(url)
        except DestinationRefused:
            continue
        assert result.isascii()
        assert result.isprintable()
        assert " " not in result
        parts = urlsplit(result)
        assert parts.scheme in ("http", "https")
        assert parts.hostname
        assert "@" not in parts.netloc
        assert "\\" not in parts.netloc


@given(st.text(st.characters(min_codepoint=0xA1, exclude_categories=["Cs", "Zl", "Zp", "Zs", "Cc"]), min_size=1))
def test_other_characters_are_percent_encoded_as_utf8(text: str) -> None:
    if "\ufeff" in text:
        return
    result = location("https://shop.example/?q=" + text)
    assert result == "https://shop.example/?q=" + "".join(f"%{byte:02X}" for byte in text.encode())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "/relative",
        "#fragment",
        "mailto:a@b.example",
        "ftp://a.example/",
        "javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:,x",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:/evil.example",
        "https:evil.example",
        "https:///evil.example",
        "https://",
        "https://?x",
        "https://#x",
        "https://:80/",
        "https://a@evil.example",
        "https://a:b@evil.example",
        "https://good.example%40evil.example@x.example/",
        "https://good.example\\@evil.example",
        "https://evil.example\\.good.example/",
        "https://evil.example\t/",
        "https://evil.example/ x",
        "https://evil.example/\n",
        "https://evil.example/\r\nX: y",
        "https://evil.example/\x00",
        "https://evil.example/\x7f",
        "https://evil.example/\u2028",
        "https://evil.example/\ud800",
        " https://evil.example/",
        "https://evil.example/\u00a0",
        "https://a.example:port/",
        "https://a.example:123456/",
        "https://[::1",
        "https://\u2024/",
    ],
)
def test_refused(url: str) -> None:
    with pytest.raises(DestinationRefused):
        location(url)


@pytest.mark.parametrize(
    ("url", "result"),
    [
        ("https://bücher.example/ä?ö#ü", "https://xn--bcher-kva.example/%C3%A4?%C3%B6#%C3%BC"),
        ("https://Bücher.Example:8443/", "https://xn--bcher-kva.example:8443/"),
        ("https://evil\u3002example/", "https://evil.example/"),
        ("HTTP://Shop.Example", "HTTP://Shop.Example"),
        ("http://[2001:db8::1]:8080/x", "http://[2001:db8::1]:8080/x"),
        ("https://a.example?x=%zz&y=%2525+", "https://a.example?x=%zz&y=%2525+"),
    ],
)
def test_converted(url: str, result: str) -> None:
    assert location(url) == result


def test_what_is_not_ascii_passes_for_no_letter_of_the_scheme() -> None:
    """Some characters are letters in another case: \u017f is an s."""
    scheme = "https://"
    for place in range(len(scheme)):
        for code in (*range(0x80, 0x3000), 0xFF1A, 0xFF0F, 0xFF53):
            with pytest.raises(DestinationRefused):
                location(f"{scheme[:place]}{chr(code)}{scheme[place + 1 :]}a.example/")


@given(
    st.text(st.sampled_from("hHtTpPsS\u017f:/ab.@%?#\u212a\u3002\u00e4\u00df\u2024\uff0f\U0001f600[]0"), max_size=20)
)
def test_a_location_is_ascii(rest: str) -> None:
    for url in (rest, f"https://{rest}", f"httpS://a.example{rest}"):
        with suppress(DestinationRefused):
            assert location(url).isascii()


def test_the_limit_is_in_bytes() -> None:
    start = "https://a.example/"
    fitting = start + "a" * (MAX_BYTES - len(start))
    assert location(fitting) == fitting
    assert location(start + "ü" * ((MAX_BYTES - len(start)) // 2)).endswith("%C3%BC")
    for too_long in (fitting + "a", start + "ü" * (MAX_BYTES // 2)):
        with pytest.raises(DestinationRefused, match="longer"):
            location(too_long)

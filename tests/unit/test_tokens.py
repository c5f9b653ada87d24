"""Tracking tokens: genuine ones verify, everything else is refused with its reason."""

import base64
import hashlib
import uuid
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.auth.secret import Secret
from postmeter.shared.errors import SettingsError, TokenRejected
from postmeter.shared.links.tokens import CLICK, HONEYPOT, LINKS, OPEN, TOKEN_CHARS, UNSUBSCRIBE, KeyRing

RING = KeyRing({1: b"1" * 32, 0: b"0" * 32})
MESSAGE = uuid.UUID("01a1fb2d-08d5-7647-ba6f-fd9d4e2e5235").bytes
WORKSPACES = st.integers(0, 2**32 - 1)
MESSAGES = st.binary(min_size=16, max_size=16)
URLS = st.text(st.characters(exclude_categories=["Cs"]))
SIGNERS: dict[int, Callable[[int, bytes, str], str]] = {
    OPEN: lambda workspace, message, _: RING.sign_open(workspace, message),
    CLICK: RING.sign_click,
    UNSUBSCRIBE: lambda workspace, message, _: RING.sign_unsubscribe(workspace, message),
    HONEYPOT: RING.sign_honeypot,
}
TOKENS = st.builds(RING.sign_open, WORKSPACES, MESSAGES)


@given(WORKSPACES, MESSAGES, URLS)
def test_what_was_signed_verifies(workspace: int, message: bytes, url: str) -> None:
    opening = RING.sign_open(workspace, message)
    assert RING.verify(opening.encode(), OPEN) == (workspace, message)
    click = RING.sign_click(workspace, message, url)
    assert RING.verify(click.encode(), CLICK, url.encode()) == (workspace, message)
    assert len(opening) == len(click) == TOKEN_CHARS


@given(WORKSPACES, MESSAGES, URLS, st.integers(0, 15))
def test_the_level_is_signed_too(workspace: int, message: bytes, url: str, level: int) -> None:
    for token, covered in (
        (RING.sign_open(workspace, message, level), b""),
        (RING.sign_click(workspace, message, url, level), url.encode()),
        (RING.sign_honeypot(workspace, message, url, level), url.encode()),
    ):
        assert RING.verify_one_of((OPEN, *LINKS), token.encode(), covered)[1:] == (workspace, message, level)
        raw = bytearray(base64.urlsafe_b64decode(token))
        raw[2] ^= 0x10
        with pytest.raises(TokenRejected, match="signature"):
            RING.verify_one_of((OPEN, *LINKS), base64.urlsafe_b64encode(raw), covered)


def test_the_layout_is_as_documented() -> None:
    """Written out once by hand, for links in mails live longer than this code."""
    header = bytes([1, 1, CLICK]) + (77).to_bytes(4, "big") + MESSAGE
    mac = hashlib.blake2b(header + b"https://a.example/", key=b"1" * 32, digest_size=13, person=b"postmeter-token")
    expected = base64.urlsafe_b64encode(header + mac.digest()).decode()
    assert RING.sign_click(77, MESSAGE, "https://a.example/") == expected


def test_base64_of_another_alphabet_is_refused() -> None:
    token = next(one for n in range(1000) if {"-", "_"} <= set(one := RING.sign_open(n, MESSAGE)))
    assert RING.verify(token.encode(), OPEN)
    for ours, other in ("-+", "_/"):
        with pytest.raises(TokenRejected, match="malformed"):
            RING.verify(token.replace(ours, other).encode(), OPEN)


@given(TOKENS, st.integers(0, TOKEN_CHARS - 1), st.sampled_from([chr(code) for code in range(33, 127)]))
def test_any_other_character_anywhere_is_refused(token: str, position: int, character: str) -> None:
    """Every bit counts: no two texts are the same token."""
    changed = token[:position] + character + token[position + 1 :]
    if changed != token:
        with pytest.raises(TokenRejected):
            RING.verify(changed.encode(), OPEN)


@given(st.binary(max_size=64))
def test_nonsense_is_refused_and_nothing_else_happens(token: bytes) -> None:
    with pytest.raises(TokenRejected):
        RING.verify(token, OPEN)


@pytest.mark.parametrize("url", [b"", b"https://a.example", b"https://a.example/?", b"HTTPS://a.example/"])
def test_a_click_is_bound_to_its_url(url: bytes) -> None:
    token = RING.sign_click(1, MESSAGE, "https://a.example/").encode()
    with pytest.raises(TokenRejected, match="signature"):
        RING.verify(token, CLICK, url)


@given(
    st.sampled_from(list(SIGNERS)), st.sampled_from(list(SIGNERS)), WORKSPACES, MESSAGES, st.one_of(st.just(""), URLS)
)
def test_a_token_serves_its_own_purpose_only(
    purpose: int, asked: int, workspace: int, message: bytes, url: str
) -> None:
    """Not even with its purpose rewritten, for the MAC covers that."""
    covered = url if purpose in LINKS else ""
    token = SIGNERS[purpose](workspace, message, url).encode()
    assert RING.verify(token, purpose, covered.encode()) == (workspace, message)
    if asked == purpose:
        return
    with pytest.raises(TokenRejected, match="purpose"):
        RING.verify(token, asked, covered.encode())
    raw = bytearray(base64.urlsafe_b64decode(token))
    raw[2] = asked
    with pytest.raises(TokenRejected, match="signature"):
        RING.verify(base64.urlsafe_b64encode(raw), asked, covered.encode())


@given(st.sampled_from(list(SIGNERS)), WORKSPACES, MESSAGES, URLS, URLS)
def test_of_several_purposes_the_token_says_which(
    purpose: int, workspace: int, message: bytes, url: str, other: str
) -> None:
    token = SIGNERS[purpose](workspace, message, url).encode()
    if purpose not in LINKS:
        with pytest.raises(TokenRejected, match="purpose"):
            RING.verify_one_of(LINKS, token)
        return
    assert RING.verify_one_of(LINKS, token, url.encode()) == (purpose, workspace, message, 0)
    if other != url:
        with pytest.raises(TokenRejected, match="signature"):
            RING.verify_one_of(LINKS, token, other.encode())


def test_rotation_breaks_no_old_link_until_the_key_leaves_the_ring() -> None:
    old, new = {0: b"0" * 32}, {1: b"1" * 32}
    token = KeyRing(old).sign_open(5, MESSAGE).encode()
    assert KeyRing({**new, **old}).verify(token, OPEN) == (5, MESSAGE)
    assert KeyRing({**new, **old}).sign_open(5, MESSAGE) == KeyRing(new).sign_open(5, MESSAGE)
    with pytest.raises(TokenRejected, match="unknown_key"):
        KeyRing(new).verify(token, OPEN)


def test_a_key_ring_is_read_from_its_setting() -> None:
    encoded = [base64.b64encode(key).decode() for key in (b"1" * 32, b"0" * 32)]
    ring = KeyRing.parse(Secret(f"1:{encoded[0]}, 0:{encoded[1]}"))
    assert ring.sign_open(5, MESSAGE) == RING.sign_open(5, MESSAGE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1:",
        "x:" + "A" * 44,
        "1:" + base64.b64encode(b"k" * 31).decode(),
        "256:" + base64.b64encode(b"k" * 32).decode(),
    ],
)
def test_a_bad_key_ring_names_its_variable_and_shows_no_key(text: str) -> None:
    with pytest.raises(SettingsError, match="POSTMETER_TOKEN_KEYS") as caught:
        KeyRing.parse(Secret(text))
    assert not text or text not in str(caught.value)


def test_a_key_id_names_one_key() -> None:
    key = base64.b64encode(b"k" * 32).decode()
    with pytest.raises(SettingsError, match="distinct"):
        KeyRing.parse(Secret(f"1:{key},1:{key}"))
    with pytest.raises(SettingsError, match="holds no key"):
        KeyRing({})

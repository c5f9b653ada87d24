"""Addresses as they are written, and that each contact is one however it is written."""

import hashlib
import string
import sys
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.errors import FieldRefused
from postmeter.shared.privacy import recipients
from postmeter.shared.text import addresses
from postmeter.tracking.requests import fields

ATOMS = st.text(st.sampled_from(string.ascii_letters + string.digits + "!#$%&'*+-/=?^_`{|}~"), min_size=1, max_size=20)
LOCALS = st.lists(ATOMS, min_size=1, max_size=3).map(".".join)
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True).filter(lambda label: label[2:4] != "--")
DOMAINS = st.lists(LABELS, min_size=2, max_size=3).map(".".join)
WORDS = st.text(st.sampled_from(string.ascii_letters + "äß 0.'-"), max_size=12)
ANY = st.text(st.sampled_from(string.ascii_letters + "ä @<>,;:.()[]'"), max_size=20)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@given(LOCALS, DOMAINS, st.sampled_from(["", " ", "\n"]))
def test_a_plain_address_is_hashed_as_ever(local: str, domain: str, space: str) -> None:
    address, host = fields.address("to", f"{space}{local}@{domain.upper()}{space}")
    assert (address, host) == (f"{local}@{domain.upper()}", domain)
    assert recipients.hash_of(address) == hashlib.sha256(f"{local}@{domain}".lower().encode()).hexdigest()


@given(LOCALS, DOMAINS, ANY, WORDS)
def test_each_way_to_write_an_address_is_the_same_contact(local: str, domain: str, name: str, words: str) -> None:
    ways = [
        f"<{local}@{domain}>",
        f"{words} <{local}@{domain}>",
        f"{quoted(name)} <{local}@{domain}>",
        f"{quoted(name)}\r\n\t< {local}@{domain} >",
        f'"A" {quoted(name)} <{local}@{domain}>',
        f"{local}@{domain} ({words})",
        f"({words}){local}@{domain}",
        f"Ada (L <x>) <{local}@{domain}>",
        f'"{local}"@{domain}',
        f"Ada <{local}(c)@(d){domain}>",
        f"{local}@{domain}.",
    ]
    wanted = recipients.hash_of(f"{local}@{domain}")
    for way in ways:
        address, host = fields.address("to", way)
        assert (way, host, recipients.hash_of(address)) == (way, domain, wanted)


UMLAUTS = st.text(st.sampled_from("abcäöüéñ"), min_size=1, max_size=10)


@given(LOCALS, UMLAUTS)
def test_a_domain_beyond_ascii_and_its_punycode_are_one(local: str, label: str) -> None:
    written, ascii_form = f"{label}.example", f"{label}.example".encode("idna").decode()
    hashes = set()
    for domain in (written, written.upper(), ascii_form, ascii_form.upper(), written.replace(".", "。")):
        address, host = fields.address("to", f"Ada <{local}@{domain}>")
        assert host == ascii_form
        hashes.add(recipients.hash_of(address))
    assert hashes == {hashlib.sha256(f"{local}@{ascii_form}".lower().encode()).hexdigest()}


@pytest.mark.parametrize(
    ("text", "address", "domain"),
    [
        ('"Support <no-reply>" <a@b.example>', "a@b.example", "b.example"),
        ('"Doe, Jane \\"JD\\" <x@y.example>" <a@b.example>', "a@b.example", "b.example"),
        ("Doe, Jane <a@b.example>", "a@b.example", "b.example"),
        ('Ada "x <a@b.example>', "a@b.example", "b.example"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]", "[192.0.2.1]"),
        ("A <a@[IPv6:2001:DB8:0::1]>", "a@[IPv6:2001:DB8:0::1]", "[ipv6:2001:db8::1]"),
        ('"a b"@b.example', '"a b"@b.example', "b.example"),
        ('"a@b"@c.example', '"a@b"@c.example', "c.example"),
        ("a..b@b.example", "a..b@b.example", "b.example"),
        ("a@my_host.example", "a@my_host.example", "my_host.example"),
        ("ünal@b.example", "ünal@b.example", "b.example"),
        ("=?utf-8?q?J=C3=BC?= <a@b.example>", "a@b.example", "b.example"),
    ],
)
def test_read(text: str, address: str, domain: str) -> None:
    assert fields.address("to", text) == (address, domain)


def test_two_forms_of_one_local_part_are_one() -> None:
    assert recipients.hash_of("u\u0308nal@b.example") == recipients.hash_of("\u00fcnal@b.example")
    assert recipients.hash_of("a@[IPv6:2001:db8:0::1]") == recipients.hash_of("a@[ipv6:2001:db8::1]")


@pytest.mark.parametrize(
    "text",
    [
        *("", "Ada", "a@", "@b.example", "a@@b.example", "a@b.example, c@d.example", "a@b.example c@d.example"),
        *("Ada <>", "a b@b.example", "a@b .example c", "<a@b.example> <c@d.example>", '""@b.example'),
        *("a\n@b.example", '"a\x01"@b.example', "a@-b-.ex ample", "a@b.example;", "a@" + "b" * 400),
        *("a@[b.example]", "a@[1.2.3]", "a" * 400 + "@b.example", "Group: a@b.example, c@d.example;"),
        *("a" * 1001 + " <a@b.example>", "=?utf-8?q?a=40b?="),
    ],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(FieldRefused, match=r"^to: ") as refused:
        fields.address("to", text)
    assert refused.value.field == "to"


@given(st.text(st.sampled_from('ab@.<>()[]"\\,;: \t\r\n\0=?äü'), max_size=60))
def test_whatever_is_given_it_is_an_address_or_a_clear_error(text: str) -> None:
    try:
        address, domain = fields.address("to", text)
    except FieldRefused:
        return
    assert fields.address("to", f"<{address}>" if "<" not in address and ">" not in address else address)[1] == domain
    assert len(recipients.hash_of(address)) == 64


HOSTILE = [
    "(",
    '"',
    "a ",
    "a.",
    "[",
    "\\",
    ",",
    "a,",
    '"a" ',
    "(a) ",
    "@a,",
    '""@',
    "(())",
    "a@",
    '"\\"',
    '" ',
    "<",
    ">",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_steps_do_not_grow_with_what_is_given(piece: str) -> None:
    """As function calls, of the library too: beyond what an address may have nothing is read by it."""
    tail = "(x) <a@b.example>"
    longest = max(_calls((piece * 1000)[:size] + tail) for size in (200, 250, 303))
    for size in (320, 500, 980, 10_000, 1_000_000):
        assert _calls((piece * 1_000_000)[:size] + tail) <= longest + 100


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_library_reads_nothing_that_would_take_it_long(piece: str) -> None:
    """A list of messages has two thousand addresses."""
    assert max(_calls((piece * 1000)[:size] + "@b.example") for size in range(0, 320, 10)) < 3_000


def _calls(text: str) -> int:
    count = 0

    def tell(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(tell)
    try:
        addresses.read(text)
    except ValueError:
        pass
    finally:
        sys.setprofile(None)
    return count

"""Addresses in other people's text are masked, however they are written; the text keeps what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.aggregator import bounces
from postmeter.shared.text import masking
from postmeter.shared.text.masking import MASK, WITHHELD, masked, masked_bytes

LIMIT = 1000
SECRET = "pqrsecretvwx"
ATEXT = "!#$%&'*+-/=?^_`{|}~."
DOMAINS = ("b.example", "mail.b-c.example", "bücher.example", "xn--bcher-kva.example", "[192.0.2.1]", "localhost")
WORDS = (
    "550 5.1.1 ",
    "user unknown; ",
    'said: "no such user" ',
    "(in reply to RCPT TO command) ",
    "smtp; ",
    "\r\n 4.2.2 ",
)

LOCALS = st.one_of(
    st.just(SECRET),
    st.just(f"{SECRET}%c.example"),  # the percent-hack
    st.just(f"bounce+{SECRET}=c.example"),  # VERP
    st.just(f"SRS0=HHH=TT=c.example={SECRET}"),
    st.just(f"c.example!{SECRET}"),
    st.just(f'"{SECRET} doe"'),
    st.just(f'"{SECRET}@home"'),
    st.just(f'"a\\"{SECRET}\\"b"'),
    st.just(f'\\"{SECRET} doe\\"'),  # quoted, within JSON
    st.just(f"{SECRET}(his comment)"),
    st.just(f"ü{SECRET}ß"),  # SMTPUTF8
    st.just(f"j\\u00f6rg{SECRET}"),  # escaped in JSON
    st.text(st.sampled_from(ATEXT.replace("{", "").replace("}", "").replace("|", "")), max_size=8).map(
        lambda noise: f"{noise}{SECRET}{noise}"
    ),
)
SIGNS = st.sampled_from(["@", "@", "@", "%40", "%2540", "=40", "\\u0040", "&#64;", "&#x40;", "&commat;", "\uff20"])


@st.composite
def addresses(draw: st.DrawFn) -> str:
    local, sign, domain = draw(LOCALS), draw(SIGNS), draw(st.sampled_from(DOMAINS[:4]))
    plain = sign in "@\uff20"
    if plain and draw(st.booleans()):
        domain = draw(st.sampled_from(DOMAINS))
    if plain and "(" not in local and draw(st.integers(0, 4)) == 0:
        sign, domain = (
            draw(st.sampled_from([f"\r\n {sign}", f" {sign} ", f"{sign}\r\n\t", f"=\r\n{sign}"])),
            "b.example",
        )
    around = ["<{}>", "rfc822;{}", "rfc822; {}", "mailto:{}", '"{}"', "{}", "<{}>:", "to=<{}>", "({})", "[{}]", "'{}'"]
    if plain:
        around += ["<@relay.example,@other.example:{}>", "<\r\n {}\r\n>"]
    return draw(st.sampled_from(around)).format(f"{local}{sign}{domain}")


@given(
    st.lists(st.tuples(st.sampled_from(WORDS), addresses()), min_size=1, max_size=5), st.sampled_from(["", " (#5.1.1)"])
)
def test_no_address_comes_through_however_it_is_written(parts: list[tuple[str, str]], end: str) -> None:
    text = "".join(word + address for word, address in parts) + end
    found = masked(text, 5000)
    assert SECRET not in found
    assert "secret" not in found
    assert MASK in found
    assert masked_bytes(text.encode(), 5000) == found.encode()
    assert found.endswith(end)


@given(st.text(st.characters(), max_size=300), st.integers(1, 300))
def test_a_text_without_signs_is_left_as_it_is_and_any_text_is_cut(text: str, limit: int) -> None:
    assert len(masked(text, limit)) <= limit
    plain = text.translate(dict.fromkeys(map(ord, "@\uff20\ufe6b%=\\&")))
    assert masked(plain, 1000) == plain


@given(
    st.integers(0, 1500), st.sampled_from([f"<{SECRET}@b.example>", f"{SECRET}@b.example", f'"{SECRET} x"@b.example'])
)
def test_an_address_that_the_cut_goes_through_is_not_left_in_part(before: int, address: str) -> None:
    for filler in ("x ", "a@b.example and " * 4 + "x " * 150):
        text = (filler * before)[:before] + " " + address + " end" * 500
        assert "pqr" not in masked(text, LIMIT)
        assert b"pqr" not in masked_bytes(text.encode(), LIMIT)


def test_what_it_says_stays_and_so_does_the_domain() -> None:
    said = {
        "550 5.1.1 <person@b.example>: Recipient address rejected: user unknown": "550 5.1.1 <***@b.example>: Recipient"
        " address rejected: user unknown",
        "rfc822;person@b.example": "rfc822;***@b.example",
        '"john doe"@b.example is over quota (552)': "***@b.example is over quota (552)",
        "person%b.example@relay.example": "***@relay.example",
        "to=person%40b.example&ip=1": "***%40b.example&ip=1",
        "per\xadson@bücher.example ist unbekannt": "***@bücher.example ist unbekannt",
        "550 <per\r\n son@b.example> gone": "550 <***@b.example> gone",
        "550 <person\r\n @b.example> gone": "550 <***@b.example> gone",
        "try again at 12:30 @ noon, limit=40 of 40.5%, 5=40.2": "try again at 12:30 @ noon, limit=40 of 40.5%, 5=40.2",
        '{"user": "@handle", "n": 1}': '{"user": "@handle", "n": 1}',
        "a@b.example,c@d.example": "***@b.example,***@d.example",
    }
    for text, expected in said.items():
        assert masked(text, LIMIT) == expected, text


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 <{}@b.example>: user unknown",
        "452 4.2.2 {}@b.example: mailbox full",
        "550 5.7.1 <{}@b.example>... Relaying denied",
        "smtp; 550 5.7.1 Message to {}@b.example rejected as spam",
        "421 4.7.0 [TSS04] Messages to {}@b.example deferred due to user complaints",
        "host mx.b.example said: 554 {}@b.example blocked using a dnsbl",
    ],
)
def test_a_bounce_has_the_same_reason_as_with_the_address(text: str) -> None:
    for bounce in (1, 2):
        with_address = text.format("john.roe")
        assert bounces.normalise(masked(with_address, LIMIT), bounce) == bounces.normalise(with_address, bounce)


@pytest.mark.parametrize(
    "piece",
    ["@", "a@", '"@', "=40a.b", " @a.b", ")@", "<@", "\r\n @a.b", "%40a.b", '"a"@', "x" * 99, "=40", "(", "&#0"],
)
def test_the_work_grows_with_the_length(piece: str) -> None:
    """Signs are looked at one by one; a text of nothing else is withheld, and others are looked at once as a whole."""
    text = (piece * 65_536)[:65_536]
    signs = len(masking._SIGN.findall(text))
    assert (masked(text, 65_536) == WITHHELD) == (signs > 50 + len(text) // 100)
    sparse = "x" * 200 + piece
    assert masked(sparse * 300, 90_000) != WITHHELD

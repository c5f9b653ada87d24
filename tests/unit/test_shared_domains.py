"""Domain names have one form."""

import pytest

from postmeter.shared.text.domains import normal


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("shop.example", "shop.example"),
        (" Shop.Example. ", "shop.example"),
        ("B\u00fccher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("_dmarc.shop.example", "_dmarc.shop.example"),
        ("localhost", "localhost"),
    ],
)
def test_a_name_has_one_form(given: str, stored: str) -> None:
    assert normal(given) == stored
    assert normal(stored) == stored


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        ".",
        "a..b",
        "a b",
        "https://a.b",
        "me@a.b",
        "a/b",
        "*.a.b",
        "a:80",
        "\0",
        "\ud800",
        "x" * 64,
        "a." * 200,
    ],
)
def test_nonsense_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="not a domain name"):
        normal(given)

"""Every regular expression of the product takes linear time, whatever text it meets (ADR 0028)."""

import ast
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.patterns import inventory
from tests.patterns.ambiguity import slow
from tests.patterns.automaton import Automaton
from tests.patterns.inventory import Found, Use
from tests.patterns.steps import MOST, Steps

LINEAR = 3.0
"""Twice the text takes at most so many times the steps; by the square it takes four times."""


@pytest.fixture(autouse=True)
def deep() -> Iterator[None]:
    """The counting matcher recurses for each character."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(before)


@pytest.fixture(scope="module")
def patterns() -> list[Found]:
    """All of the product. Not parameters of tests: each process of a parallel run would look for them anew."""
    found = inventory.patterns()
    assert len(found) > 50
    return found


def test_every_pattern_of_the_product_is_linear(patterns: list[Found]) -> None:
    judged = ((found, slow(found.pattern, found.use)) for found in patterns)
    assert [f"{found.place} ({found.use.name}): {why}" for found, why in judged if why] == []


def test_nothing_matches_behind_the_inventory() -> None:
    assert inventory.hidden() == []


def test_what_ignores_case_knows_ascii_letters_alone(patterns: list[Found]) -> None:
    """Else \u017f is an s and \u212a a k: to nobody who reads the same text after us."""
    for found in patterns:
        if isinstance(found.pattern.pattern, str) and found.pattern.flags & re.IGNORECASE:
            assert found.pattern.flags & re.ASCII, found.place


def test_the_inventory_sees_each_way_to_make_a_pattern() -> None:
    tree = ast.parse("import fnmatch\nfrom re import compile\nName = msgspec.Meta(pattern='x')")
    assert len(inventory.hidden_in("somewhere", tree)) == 3
    for within in ("def f(x):\n re.compile(x)", "def f(x):\n re.search(x, '')"):
        with pytest.raises(AssertionError, match="somewhere"):
            inventory.patterns_of({"somewhere": ast.parse(f"import re\n{within}")})


SLOW = [
    (Use.ANCHORED, r"(a+)+", "", "a", "b"),
    (Use.ANCHORED, r"(?:a|ab|b)*", "", "ab", "c"),
    (Use.ANCHORED, r"(a*)*", "", "a", "b"),
    (Use.ANCHORED, r"(?:a|a)*", "", "a", "b"),
    (Use.ANCHORED, r"(?:(?:a|a))*", "", "a", "b"),
    (Use.ANCHORED, r"(?:a(?:b?|c*))*", "", "a", "d"),
    (Use.ANCHORED, r"(?:a(?:b?)?)*", "", "a", "d"),
    (Use.ANCHORED, r"(?:a(?:b*)??)*", "", "a", "d"),
    (Use.ANCHORED, r"(?:a(?:b?){0,2})*", "", "a", "d"),
    (Use.ANCHORED, r"0*([0-9]+)", "", "0", "x"),
    (Use.ANCHORED, r"\s*(.*)x", " ", " ", ""),
    (Use.ANCHORED, r".*a.*", "", "b", ""),
    (Use.ANCHORED, r"[\w.]+@[\w.]+\.[\w.]+", "a@", "a.", "!"),
    (Use.ANCHORED, r"(?:a*b|a)*+", "", "a", "c"),
    (Use.ANCHORED, r"(?:K|k)*[\u212a\u004b]*", "", "K", "x"),
    (Use.MATCH, r"(?:a(?:a*b)?)*", "", "a", ""),
    (Use.MATCH, r"(.*?)x([^y]+)z", "", "x", ""),
    (Use.SEARCH, r" - at `\$?\.?(.*)`$", "", " - at `", "x"),
    (Use.SEARCH, r"\s+$", "", " ", "x"),
    (Use.SEARCH, r"<[^>]*>", "", "<", ""),
    (Use.SEARCH, r"a{2,}b", "", "a", ""),
    (Use.EVERYWHERE, r"a(?:a*b)?", "", "a", ""),
    (Use.EVERYWHERE, r'"(?:[^"\\]|\\.)*+"', "", r"\"", ""),
]  # fmt: skip
LINEAR_ONES = [
    (Use.ANCHORED, r"(?:a|b)*c"),
    (Use.ANCHORED, r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*"),
    (Use.ANCHORED, r"[a-z]*+[a-z0-9]*"),
    (Use.ANCHORED, r"(.*)x"),
    (Use.ANCHORED, r"a(?:b?|c?)d"),
    (Use.ANCHORED, r"(?:[ab]|%c)*+(?:#(?:[ab]|%c)*+)?"),
    (Use.MATCH, r"(.*?)x([^y]+)"),
    (Use.SEARCH, r"\s+"),
    (Use.SEARCH, r"([$^])a{0,99}\1"),
    (Use.SEARCH, r"ab*"),
    (Use.EVERYWHERE, r"\s++x?"),
    (Use.EVERYWHERE, r"a{1,3}b"),
]


@pytest.mark.parametrize(("use", "text", "before", "again", "after"), SLOW, ids=[case[1] for case in SLOW])
def test_a_slow_pattern_is_found_and_is_slow(use: Use, text: str, before: str, again: str, after: str) -> None:
    pattern = re.compile(text)
    assert slow(pattern, use)
    if text not in (r"(a*)*", r".*a.*", r"\s*(.*)x"):
        few, many = (Steps(pattern).of(before + again * n + after, use) for n in (20, 40))
        assert many > LINEAR * few or many == MOST


@pytest.mark.parametrize(("use", "text"), LINEAR_ONES, ids=[case[1] for case in LINEAR_ONES])
def test_a_linear_pattern_is_taken(use: Use, text: str) -> None:
    assert slow(re.compile(text), use) == ""


def test_what_cannot_be_proved_is_refused() -> None:
    for text in (r"(a*)\1", r"(?=a*)b", r"(?i:a)b"):
        assert "cannot be proved" in slow(re.compile(text), Use.ANCHORED)


def _texts(found: Found) -> st.SearchStrategy[tuple[Any, Any, Any]]:
    """A beginning, what is repeated and an end, of the characters that the pattern tells apart."""
    alphabet = Automaton(found.pattern).alphabet
    empty = alphabet[0][:0]
    told = [char for char in alphabet if char not in (chr(7), b"\x07")]
    some = st.lists(st.sampled_from(told), max_size=4).map(empty.join)
    return st.tuples(some, st.lists(st.sampled_from(told), min_size=1, max_size=5).map(empty.join), some)


def test_twice_the_text_takes_twice_the_steps(patterns: list[Found]) -> None:
    for found in patterns:
        _takes_twice_the_steps(found, Steps(found.pattern))


def _takes_twice_the_steps(found: Found, counted: Steps) -> None:
    @settings(max_examples=4)
    @given(_texts(found))
    def check(text: tuple[Any, Any, Any]) -> None:
        before, again, after = text
        few, many = (counted.of(before + again * n + after, found.use) for n in (25, 50))
        assert many <= LINEAR * few + 100, found.place

    check()


pieces = st.recursive(
    st.sampled_from(["a", "b", "[ab]", ".", "c"]),
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})")
        | st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*+", "++", "*?"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        )
    ),
    max_leaves=6,
)


@settings(max_examples=100)
@given(
    text=pieces,
    use=st.sampled_from(Use),
    before=st.text("abc", max_size=3),
    again=st.text("abc", min_size=1, max_size=3),
    after=st.text("abcd", max_size=2),
)
def test_what_is_called_linear_never_takes_more_steps(text: str, use: Use, before: str, again: str, after: str) -> None:
    pattern = re.compile(text)
    if slow(pattern, use):
        return
    counted = Steps(pattern)
    for times in (8, 40):
        few, many = (counted.of(before + again * n + after, use) for n in (times, 2 * times))
        if few == MOST:
            return  # a large constant: nothing can be told
        assert many <= LINEAR * few + 200, (text, use, few, many)

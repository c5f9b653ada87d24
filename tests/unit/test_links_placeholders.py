"""Placeholders are told from what careless people write into URLs."""

import json
import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postmeter.tracking.html.placeholders import holds_placeholder

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}(\.[a-z]{1,8})?", fullmatch=True).filter(
    lambda name: name not in ("true", "false", "null")
)
FORMS = st.sampled_from(
    [
        *("%{}%", "%%{}%%", "{{{{{}}}}}", "{{{{ {} }}}}", "{{% {} %}}", "{{%{}%}}", "{{${}}}", "${{{}}}", "#{{{}}}"),
        *("{{{}}}", "{{!{}}}", "{{{}|default}}", "{{{}=x}}", "@{{{}}}", "%{{{}}}", "*|{}|*", "*|IF:{}|*", "[[{}]]"),
        *("[[ {} ]]", "[[data:{}]]", "<%= {} %>", "<%{}%>", "<?= ${} ?>", "<{}>", "###{}###", "##{}##", "#{}#"),
        *("[{}]", "[%{}%]", "[{},fallback=x]", "${}$", "$${}$$", "@@{}@@", "~~{}~~", "^{}^", "#LISTRAK\\{}#"),
        *("#pf:{}#", "$({})", "(({}))", "@{}@", "~Contact.{}~", "--{}--", "[* {} *]", "{{|{}|}}"),
    ]
)
PLACES = st.sampled_from(
    ["{}", "https://{}", "https://{}/a", "https://a.example/{}", "https://a.example/{}/x?y=1", "https://a.example/?a={}&b=1",
     "https://a.example/?{}", "https://a.example/a-{}.html", "https://a.example/?a=%20{}"]
)  # fmt: skip


@given(NAMES, FORMS, PLACES)
@example("dealer", "%{}%", "https://a.example/{}")
@example("add", "%{}%", "https://{}")
@example("id", "%{}%", "https://a.example/{}add")
@example("A", "[{}]", "https://a.example/?a=%20{}")
@example("A", "--{}--", "https://a.example/?a=%20{}")
def test_a_name_between_delimiters_is_a_placeholder_wherever_it_stands(name: str, form: str, place: str) -> None:
    url = place.format(form.format(name))
    if "-[" in url or "---" in url or url.startswith("#"):
        return
    assert holds_placeholder(url)


ESCAPES = st.integers(0, 255).map("%{:02x}".format)
CODE_POINTS = st.text(st.sampled_from(string.ascii_letters + string.digits + "!&'()*+,-./:;=?@_~äж"), min_size=1)
# What two code points of a URL together make one, or may make one.
DOUBLED = re.compile(r"@.*@|~.*~|!!|\*\*|\(\(|--|=-")


@given(
    st.sampled_from(["a.example", "A-b.example:8443", "[2001:db8::1]", "bücher.example", "localhost", "%62.example"]),
    st.lists(st.one_of(CODE_POINTS, ESCAPES), max_size=12),
    st.lists(st.one_of(CODE_POINTS, ESCAPES), max_size=4),
)
def test_a_url_as_it_should_be_is_none(host: str, rest: list[str], fragment: list[str]) -> None:
    url = f"https://{host}/{''.join(rest)}#{''.join(fragment)}"
    if not DOUBLED.search(url):
        assert not holds_placeholder(url)


WORDS = st.text(st.sampled_from(string.ascii_letters + string.digits + " _-.:,"), max_size=10)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)),
)


@given(st.one_of(st.lists(JSON, max_size=4), st.dictionaries(WORDS, JSON, max_size=4)), st.booleans(), st.booleans())
def test_json_that_nobody_has_escaped_is_none(value: object, tight: bool, quotes_escaped: bool) -> None:
    text = json.dumps(value, separators=(",", ":") if tight else None)
    assert not holds_placeholder("https://a.example/?q=" + (text.replace('"', "%22") if quotes_escaped else text))


@given(st.lists(st.tuples(NAMES, st.lists(st.one_of(NAMES, st.integers(0, 99), st.just("")), min_size=1)), max_size=4))
def test_keys_in_brackets_are_none(keys: list[tuple[str, list[object]]]) -> None:
    query = "&".join(name + "".join(f"[{key}]" for key in path) + "=1" for name, path in keys)
    assert not holds_placeholder("https://a.example/?" + query)


@pytest.mark.parametrize(
    "rest",
    [
        "100%-off",
        "?c=100%-off-and-50%-more",
        "?c=50% off and 20% more",
        "?x=50%&y=60%",
        "?q={a:1,b:2}",
        "?q={'a':'b'}",
        "?q={}",
        "?doc={A2504E0F-4F89-11D3-9A0C-0305E82C3301}",
        "#/path#anchor",
        "#home#top",
        "?fonts=Roboto|Lato|Inter",
        "?x=a<b",
        "?price=$5&other=$6",
        "?q=a{2,3}",
        "(a)/(b)",
        "((1+2))",
        "@user@host.example",
        "@user.name@host.example/1",
        "__init__.py",
        "?x=__name__",
        "!name!/~name~?x=~name~&y=!name!",
        "~ab.example/~/x",
        "?fonts=|Lato|",
        "a--b--c",
        "?t=-Abc-def-",
        "?t=x-Abc-",
        "-about-/",
    ],
)
def test_careless_but_none(rest: str) -> None:
    assert not holds_placeholder("https://a.example/" + rest)


@pytest.mark.parametrize(
    "rest",
    [
        "?id=-customerID-",
        "?id=-customerID-&x=1",
        "?c=((under18??Please get your parents))",
        "?e=@EMAIL@&f=@FIRST@-@LAST@",
        "?id=~Contact.Id~",
        "?x=--formalName--",
        "?a=<<First%20Name>>",
        "?a=[[x]]",
        "?n=[First Name]",
        "[* link.unsub_url *]",
    ],
)
def test_what_platforms_document_is_one(rest: str) -> None:
    assert holds_placeholder("https://a.example/" + rest)


@pytest.mark.parametrize(
    "url",
    [
        "https://-url-",
        "https://__X__/a",
        "https://|X|/",
        "https://!x!",
        "https://~x~",
        "https://((name))/x",
        "https://a!b.example/",
        "https://{a/",
    ],
)
def test_what_cannot_be_a_host_is_one(url: str) -> None:
    assert holds_placeholder(url)

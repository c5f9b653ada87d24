"""The scanner of mails' HTML, beside a real parser and on the ugly things that mails hold."""

from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postmeter.tracking.html.scanner import scan, unescape


class Parser(HTMLParser):
    """The hrefs of all <a>, <area> and VML shapes, stripped, as the standard library's parser reads them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.hrefs: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = [value or "" for name, value in attrs if name == "href"]
        if (tag in ("a", "area") or tag.startswith("v:")) and values:
            self.hrefs.append(values[0].strip(" \t\n\f\r"))


def hrefs(html: str) -> list[str]:
    return [unescape(html[link.start : link.end]) for link in scan(html).links]


@pytest.mark.parametrize(
    ("html", "found"),
    [
        pytest.param('<a href="x">', ["x"], id="double"),
        pytest.param("<a href='x'>", ["x"], id="single"),
        pytest.param("<a href=x>", ["x"], id="unquoted"),
        pytest.param("<a href=x/y/>", ["x/y/"], id="unquoted-slash"),
        pytest.param('<A\n\tHREF\r\n =\n "x"\n>', ["x"], id="lines-and-case"),
        pytest.param('<a class=b href="x" href="y">', ["x"], id="first-counts"),
        pytest.param('<a href>b</a><a href="">', ["", ""], id="empty"),
        pytest.param('<area shape=rect href="x">', ["x"], id="area"),
        pytest.param('<a href=" x ">', ["x"], id="spaces"),
        pytest.param("<a href='\r\n\t\f x\ty \n'>", ["x\ty"], id="white-space-around-only"),
        pytest.param('<a href=" \n "><a href=\n>', ["", ""], id="white-space-only"),
        pytest.param('<a href="\u00a0x">', ["\u00a0x"], id="no-break-space-stays"),
        pytest.param('<!--[if mso]><v:roundrect href="x" arcsize="9%"><center>', ["x"], id="vml-in-a-comment"),
        pytest.param('<V:Rect HREF="x"/><v:oval href=y></v:oval>', ["x", "y"], id="vml"),
        pytest.param('<v:fill src="x"/><o:lock href="y"/><vml href="z">', [], id="not-vml-links"),
        pytest.param('<!-- <v:roundrect href="x"> -->', [], id="vml-in-a-plain-comment"),
        pytest.param('<abbr href="x"><link href="x"><base href="x">', [], id="other-tags"),
        pytest.param('<a data-href="x" xhref="y">', [], id="other-attributes"),
        pytest.param("<img alt=\"<a href='x'>\"><a href=y>", ["y"], id="inside-an-attribute"),
        pytest.param('<a title=">" href="x">', ["x"], id="after-a-quoted-bracket"),
        pytest.param('<!-- <a href="x"> --><a href="y">', ["y"], id="comment"),
        pytest.param('<!--><a href="x">--><!---><a href="y">', ["x", "y"], id="empty-comments"),
        pytest.param('<!-- <a href="x">', [], id="endless-comment"),
        pytest.param('<!--[if mso]><a href="x"><![endif]--><a href="y">', ["x", "y"], id="mso"),
        pytest.param('<!--[if !mso]><!--><a href="x"><!--<![endif]-->', ["x"], id="not-mso"),
        pytest.param('<![if !mso]><a href="x"><![endif]>', ["x"], id="downlevel-revealed"),
        pytest.param('<script>"<a href=x>"</script><a href=y>', ["y"], id="script"),
        pytest.param("<STYLE>a{b:'<a href=x>'}</Style ><a href=y>", ["y"], id="style"),
        pytest.param("<script></\u017fcript><a href=x></script><a href=y>", ["y"], id="not-the-end-of-a-script"),
        pytest.param("<script><!-- </scripty><a href=x></script><a href=y>", ["y"], id="almost-the-end-of-a-script"),
        pytest.param("<title><a href=x></title><textarea><a href=y></textarea>", [], id="text-only-elements"),
        pytest.param('a < b <a href="x"> 1<2', ["x"], id="less-than"),
        pytest.param("</a href=x><a/href=y>", ["y"], id="end-tags"),
        pytest.param('<a href="x', [], id="endless-quote"),
        pytest.param("<a href=x", [], id="endless-tag"),
        pytest.param("<?xml <a href=x>?><a href=y>", ["y"], id="processing-instruction"),
        pytest.param('<a href="{{ url }}" {{#if}}>', ["{{ url }}"], id="placeholders"),
        pytest.param(
            '<a href="x?a=1&amp;b&#61;2&#x26;c&lt=3&copy;&unknown;">', ["x?a=1&b=2&c&lt=3©&unknown;"], id="references"
        ),
    ],
)
def test_links(html: str, found: list[str]) -> None:
    assert hrefs(html) == found


PIECES = st.lists(
    st.sampled_from(
        [
            '<a href="https://a.example/?x=1&amp;y=2">',
            "<a class='b' href='https://b.example/'>",
            "<A HREF=https://c.example>",
            "<area href=q>",
            "<td width=5>",
            "<br/>",
            '<p class="a > b" title=\'"\'>',
            "</a>",
            "</body>",
            "text",
            " < ",
            "&amp;",
            "<!-- <a href=no> -->",
            "<script>if (a<b) '<a href=no>'</script>",
            "<style>p{}</style>",
            "\r\n",
            "é",
            "<img alt=\"<a href='no'>\">",
            "<a\nhref\n=\n'z'\n>",
            "<a name=top>",
            "<a href=' \t https://d.example/\r\n'>",
            '<a href="\n\n">',
            '<v:roundrect xmlns:v="urn:schemas-microsoft-com:vml" href="https://e.example/" arcsize="9%" stroke="f">',
            "</v:roundrect>",
            "<v:fill src=z />",
            "<video:a href=no>",
            "<!DOCTYPE html>",
        ]
    ),
    max_size=30,
)


@given(PIECES)
def test_it_finds_what_a_real_parser_finds(pieces: list[str]) -> None:
    html = "".join(pieces)
    assert hrefs(html) == Parser(html).hrefs


@given(st.text(st.sampled_from("<>!-/='\"a href&;#x[]\nv:"), max_size=300))
@example("<!--[if")
@example("<a href=")
@example("</")
def test_whatever_it_is_given_it_ends_and_stays_within(html: str) -> None:
    markup = scan(html)
    ends = [0]
    for link in markup.links:
        assert ends[-1] <= link.start <= link.end <= len(html)
        ends.append(link.end)
        value = html[link.start : link.end]
        assert value == value.strip(" \t\n\f\r")
    assert 0 <= markup.place <= len(html)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("&amp;amp;", "&amp;"),
        ("&#0;", "\ufffd"),
        ("&#xD800;", "\ufffd"),
        ("&#x110000;", "\ufffd"),
        ("&#150;", "\u2013"),
        ("&#99999999999999;", "\ufffd"),
        ("&#x2F;&#47", "//"),
        ("&amp", "&"),
        ("&ampx", "&ampx"),
        ("&notit;", "&notit;"),
        ("&copy=1", "&copy=1"),
        ("&copy;=1", "\xa9=1"),
        ("&;&#;&#x;", "&;&#;&#x;"),
        ("&AMP;", "&"),
        ("&NotEqualTilde;", "\u2242\u0338"),
    ],
)
def test_references_as_attributes_have_them(value: str, meaning: str) -> None:
    assert unescape(value) == meaning

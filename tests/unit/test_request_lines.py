"""Request lines that a strict parser does not take: what is made of them, and that nothing is hidden in them."""

from urllib.parse import unquote_to_bytes

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.http.request_lines import readable, requests

HITS = st.sampled_from([OPEN_PATH.encode(), CLICK_PATH.encode(), b"http://t.example" + CLICK_PATH.encode()])
REST = b"Host: t\r\nX: \xff y\r\n\r\n"
NEXT = b"GET /api/v1/track/open/second HTTP/1.1\r\nHost: t\r\n\r\n"
ENDS = (b"\r", b"\n", b"\0")


class Seen:
    """What a strict parser makes of bytes: the targets of whole requests; None: it does not take them."""

    def __init__(self) -> None:
        self.targets: list[bytes] = []
        self.url = b""

    def on_message_begin(self) -> None:
        self.url = b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_message_complete(self) -> None:
        self.targets.append(self.url)


def targets(data: bytes) -> list[bytes] | None:
    seen = Seen()
    try:
        httptools.HttpRequestParser(seen).feed_data(data)
    except httptools.HttpParserError:
        return None
    return seen.targets


@given(st.sampled_from([b"GET", b"HEAD"]), HITS, st.binary(max_size=60))
@example(b"GET", OPEN_PATH.encode(), "a?utm_campaign=frühling und mehr".encode())
@example(b"GET", OPEN_PATH.encode(), b"a HTTP/1.1\r\nHost: t\r\n\r\nGET /v1/campaigns")
@example(b"GET", OPEN_PATH.encode(), b"a HTTP/1.1")
def test_a_hit_arrives_whatever_its_target_holds_and_is_one_request(method: bytes, path: bytes, more: bytes) -> None:
    line = b"%b %b%b HTTP/1.1\r\n" % (method, path, more)
    made = readable(line + REST + NEXT)
    if any(end in more for end in ENDS):
        assert [made.count(end) for end in ENDS] == [(line + REST + NEXT).count(end) for end in ENDS]
        return
    assert made.endswith(b"\r\n" + REST + NEXT)
    found = targets(made)
    assert found is not None
    assert len(found) == 2
    assert unquote_to_bytes(found[0]) == unquote_to_bytes((path + more).strip(b" "))
    assert readable(made) == made


@given(st.sampled_from([b"GET", b"POST", b"get"]), st.binary(max_size=60))
@example(b"GET", b" ")
@example(b"GET", b" !")
def test_of_another_request_only_what_is_beyond_ascii_changes(method: bytes, more: bytes) -> None:
    line = b"%b /v1/campaigns?%b HTTP/1.1\r\n" % (method, more)
    made = readable(line + REST)
    if (taken := targets(line + REST)) is not None:  # also where blanks follow the target: one of them stays
        assert targets(made) == taken
        assert made == b"%b /v1/campaigns?%b HTTP/1.1\r\n" % (method, more.rstrip(b" ")) + REST
    elif any(end in more for end in ENDS):
        assert [made.count(end) for end in ENDS] == [(line + REST).count(end) for end in ENDS]
    elif any(byte < 0x21 or byte == 0x7F for byte in more.rstrip(b" ")) or method == b"get":
        assert targets(made) is None
    else:
        assert targets(made) is not None
        assert all(byte < 0x80 for byte in made[: -len(REST)])


@given(
    st.binary(max_size=200), st.sampled_from([b"Content-Length: %d", b"content-length :%d", b"Transfer-Encoding: x%d"])
)
def test_a_body_stays_as_it_came(body: bytes, framing: bytes) -> None:
    head = b"POST /v1/events?\xff HTTP/1.1\r\n" + framing % len(body) + b"\r\n\r\n"
    assert readable(head + body).endswith(b"\r\n\r\n" + body)


@given(st.binary(max_size=200))
def test_any_bytes_keep_their_lines(data: bytes) -> None:
    made = readable(data)
    assert made.split(b"\n")[1:] == data.split(b"\n")[1:] or b"\r\n\r\n" in data
    assert [made.count(end) for end in ENDS] == [data.count(end) for end in ENDS]


@pytest.mark.parametrize(
    "line",
    [
        b"GET /\xff",
        b"GET /\xff HTTP/1.1\n",
        b"GET /\xff HTTP/2.0\r\n",
        b"\xff\r\n",
        b"GET \xff\r\n",
        b"G\xff / HTTP/1.1\r\n",
    ],
)
def test_what_is_not_a_whole_line_stays(line: bytes) -> None:
    assert readable(line) == line


@pytest.mark.parametrize(
    "value", [b"Foo HTTP/1.1", b"Foo bar  HTTP/1.1", b"A \xff HTTP/1.1", b"GET\xff /v1/campaigns HTTP/1.1"]
)
def test_the_rest_of_a_header_s_value_is_no_line(value: bytes) -> None:
    assert readable(value + b"\r\n\r\n") == value + b"\r\n\r\n"


def test_requests_behind_each_other_are_pieces_of_their_own() -> None:
    get, post = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n\r\n\r\n"
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert requests(get + post + get + b"nonsense\r\n\r\n") == [get, post, get, b"nonsense\r\n\r\n"]
    assert requests(get + chunked + get) == [get, chunked + get]
    assert requests(get + post[:-1]) == [get, post[:-1]]

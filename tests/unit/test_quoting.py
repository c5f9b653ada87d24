"""Callers' text in errors and logs: quoted and cut, on one line, fit for Postgres and for a terminal."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.errors import MESSAGE_CHARS, RequestError
from postmeter.shared.process import logs
from postmeter.shared.text import quoting
from postmeter.shared.text.masking import masked

# Half surrogates and control characters, too: what JSON can escape can be in a caller's text.
ANY_TEXT = st.text(st.characters(), max_size=400) | st.builds(
    lambda text, n: text * n, st.text(st.characters(), min_size=1, max_size=20), st.integers(1, 3000)
)


def storable(text: str) -> bool:
    text.encode()  # raises for half a surrogate pair
    return "\0" not in text and "\n" not in text and "\x1b" not in text and "\u202e" not in text


@given(ANY_TEXT)
def test_what_is_quoted_is_short_and_harmless(text: str) -> None:
    shown = quoting.quoted(text)
    assert shown[0] == shown[-1] == "'"
    assert len(shown) <= quoting.QUOTED + len("'...'")
    assert shown.isprintable()
    assert storable(shown)


@given(st.text(st.characters(categories=["L", "N"]), max_size=200))
def test_what_prints_is_quoted_as_it_is(text: str) -> None:
    assert quoting.quoted(text) == f"'{text}'" == quoting.quoted(text.encode())


@given(st.binary(max_size=2000))
def test_bytes_are_quoted_whatever_they_are(raw: bytes) -> None:
    assert len(quoting.quoted(raw)) <= quoting.QUOTED + len("'...'")
    assert storable(quoting.quoted(raw))


@given(ANY_TEXT, ANY_TEXT)
def test_an_error_is_harmless_even_where_nobody_quoted(message: str, field: str) -> None:
    error = RequestError(400, "INVALID_FIELD", message, field)
    assert error.field is not None
    assert len(error.message) <= MESSAGE_CHARS
    assert len(error.field) <= quoting.QUOTED
    assert storable(error.message)
    assert storable(error.field)
    assert str(error) == error.message


PERSON = "pqrstuvwxyz"


@given(
    st.sampled_from(["x ", "ü ", "\x00 ", "a@b.example ", "' "]),
    st.integers(0, 2400),
    st.sampled_from(
        [f"<{PERSON}@b.example>", f"{PERSON}@b.example", f'"{PERSON} x"@b.example', f"{PERSON}%40b.example"]
    ),
    st.integers(0, 800),
)
def test_an_address_that_a_cut_goes_through_leaves_nothing_that_a_log_would_show(
    filler: str, before: int, address: str, after: int
) -> None:
    """Whatever cuts the text first: what comes later knows an address by its sign only."""
    text = (filler * before)[:before] + address + " end" * after
    cuts = [
        quoting.quoted(text),
        quoting.quoted(text.encode()),
        f"unknown type {quoting.quoted(text)}; and more",
        quoting.clean(text, 300),
        RequestError(400, "INVALID_FIELD", f"{text} is not known", text).message,
        RequestError(400, "INVALID_FIELD", "", text).field or "",
    ]
    assert not [cut for cut in cuts if PERSON[:3] in masked(cut, 10_000)]


@given(st.integers(0, 300), st.integers(0, 300))
def test_no_address_stands_in_a_log_line_wherever_it_is(before: int, after: int) -> None:
    text = f"{'x ' * before}{PERSON}@b.example{' end' * after}"
    line = logs.harmless(None, "", {"event": text, "error": [ValueError(text)], "deep": {text: {"a": {text: text}}}})
    assert PERSON[:3] not in json.dumps(line)


@given(ANY_TEXT)
def test_a_log_line_is_harmless_whatever_it_is_given(text: str) -> None:
    def lines(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [one for pair in value.items() for half in pair for one in lines(half)]
        if isinstance(value, list):
            return [one for item in value for one in lines(item)]
        return [value] if isinstance(value, str) else []

    given_ = {
        "event": text,
        "error": ValueError(text),
        "many": [text] * 100,
        "deep": {text: ({text}, {"a": {"b": [text]}})},
    }
    line = logs.harmless(None, "", dict(given_, n=3, exception=f"Traceback\n  File\nValueError: {text}"))
    traceback = line.pop("exception")
    assert line["n"] == 3
    assert all(storable(one) and len(one) <= logs.VALUE_CHARS for one in lines(line))
    assert all(storable(one) and len(one) <= logs.VALUE_CHARS for one in traceback.split("\n"))
    assert len(json.dumps(line)) < 1_000_000


@contextmanager
def configured() -> Iterator[None]:
    """Logs as a service has them."""
    before = structlog.get_config()
    logs.configure("test", "json", "info")
    try:
        yield
    finally:
        structlog.configure(**before)
        structlog.contextvars.clear_contextvars()
        for name in logs._LIBRARIES:
            logging.getLogger(name).handlers.clear()


def test_what_a_library_logs_is_a_line_like_ours(capfd: pytest.CaptureFixture[str]) -> None:
    with configured():
        logging.getLogger("redis.connection").info("not of interest")
        try:
            raise ValueError(f"{PERSON}@b.example\x1b")
        except ValueError as error:
            logging.getLogger("asyncio").error("Task failed\nfuture: %s@b.example", PERSON, exc_info=error)
    said = capfd.readouterr().err
    (line,) = map(json.loads, said.splitlines())
    assert (line["level"], line["service"], line["logger"]) == ("error", "test", "asyncio")
    assert line["event"] == "Task failed\ufffdfuture: ***@b.example"
    assert "ValueError: ***@b.example" in line["exception"]
    assert PERSON not in said


@pytest.mark.parametrize("n", [5, 200, 201, 5000])
def test_a_long_text_says_that_it_goes_on(n: int) -> None:
    assert quoting.quoted("x" * n).endswith("...'") == (n > 200)
    assert quoting.clean("x" * n, 300).endswith("...") == (n > 300)

"""Subjects of events are what people read, and none costs its event."""

from email.header import Header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.shared.stream.events import EventType
from postmeter.tracking.webhooks import events
from postmeter.tracking.webhooks.events import decoded_subject
from postmeter.tracking.webhooks.provider import Reading
from postmeter.tracking.webhooks.providers import PROVIDERS
from tests.webhooks.deliveries import source


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("=?UTF-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", "Grüße aus Köln"),
        ("=?utf-8?B?44GT44KT44Gr44Gh44Gv?=", "こんにちは"),
        ("=?iso-8859-1?q?caf=E9?= today", "café today"),
        ("=?utf-8?q?one?= =?utf-8?q?_two?=", "one two"),
        ("Hello", "Hello"),
        ("2 =? 3", "2 =? 3"),
        ("", ""),
        ("=?no-such-charset?q?x?=", "=?no-such-charset?q?x?="),
        ("=?utf-8?b?!!!?=", "=?utf-8?b?!!!?="),
        ("=?ascii?q?=FF?=", "=?ascii?q?=FF?="),
        ("=?hex?q?00?=", "=?hex?q?00?="),
    ],
)
def test_a_subject_is_decoded_or_stays_what_it_is(told: str, read: str) -> None:
    assert decoded_subject(told) == read


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=60))
def test_what_is_encoded_is_decoded(text: str) -> None:
    assert decoded_subject(Header(text, "utf-8", maxlinelen=10_000).encode()) == text


@given(
    st.lists(
        st.sampled_from(
            ["=?", "?=", "?", "utf-8", "utf-7", "idna", "hex", "undefined", "q", "b", "=", "=FF", "\n", "\0"]
        )
        | st.text(max_size=5)
    ).map("".join)
)
def test_no_subject_costs_its_event(subject: str) -> None:
    told = Reading(type=EventType.SENT, name="sent", provider_message="m", subject=subject)
    found = events.event_of(told, b"{}", 0, PROVIDERS["ses"], source("ses", "s"), 0)
    assert found.mail is not None
    assert len(found.mail.subject) <= 2000
    found.mail.subject.encode()
    assert "\0" not in found.mail.subject


def test_a_subject_that_never_ends_takes_little() -> None:
    hostile = "=?utf-8?q?" * 100_000 + "?="
    assert decoded_subject(hostile) is hostile
    many = "=?utf-8?q?x?=" * 100
    assert decoded_subject(many) is many

"""Only an event's name and its message's ids may make an item unreadable: whatever else a field holds, it counts.

Every incidental field of a good payload of each kind of event of each provider is replaced in turn by values of every
other type, and taken out. The event must count still, as the same type and of the same message.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from multidict import CIMultiDict

from postmeter.shared.stream.events import EventType
from postmeter.shared.stream.records import Event
from postmeter.tracking.webhooks.handler import read
from postmeter.tracking.webhooks.provider import Delivery
from postmeter.tracking.webhooks.providers import PROVIDERS
from tests.webhooks import (
    brevo,
    mailersend,
    mailgun,
    mailjet,
    mailtrap,
    mandrill,
    postal,
    postmark,
    resend,
    sendgrid,
    sparkpost,
)
from tests.webhooks.deliveries import NOW, OUR_ID, delivery, source
from tests.webhooks.ses import BOUNCE, SENT_AT, raw_delivery
from tests.webhooks.ses import event as ses_event
from tests.webhooks.sns import Sns

SOURCE = source("any", "secret")
MISSING = object()
VALUES = [None, "", 0, 1.5, [], {}, "x", True, {"a": {"b": [1]}}, [["x"], None, 7], MISSING]
VISIT = {"ip": "203.0.113.9", "url": "https://shop.example/", "user_agent": "Mozilla/5.0 (X11)"}
Path = tuple[Any, ...]


@dataclass
class Case:
    """told: payloads of one form. named: the paths, or their last names, that name the event and its message. decisive:
    of those by which the provider tells kinds of one event apart: with another value it may be of another kind.
    """

    slug: str
    told: list[dict[str, Any]]
    named: set[str | Path]
    decisive: set[str] = field(default_factory=set)
    wrap: Callable[[Any], Delivery] = delivery


def form(fields: dict[str, Any]) -> Delivery:
    """An older webhook of Mailgun's: what is not a text is written as JSON, as a form would have it."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    headers = CIMultiDict({"Content-Type": "application/x-www-form-urlencoded"})
    return Delivery(urlencode(texts).encode(), headers, "https://gateway.example/", NOW * 1_000_000)


OLD_FORM = {
    "timestamp": str(NOW),
    "token": "t",
    "signature": "s",
    "recipient": "ada@mail.example",
    "domain": "mg.shop.example",
    "Message-Id": "<20260301.1@mg.shop.example>",
    "message-headers": json.dumps([["Subject", "Hello"], ["From", "Shop <news@shop.example>"]]),
    "X-Mailgun-Tag": "welcome",
    "campaign-id": "spring",
    "code": "550",
    "error": "5.1.1 no such user",
    "postmeter_id": OUR_ID,
    "order": "7",
}
SES_DETAILS: dict[str, dict[str, Any]] = {
    "Send": {},
    "Delivery": {"timestamp": SENT_AT, "recipients": ["ada@mail.example"], "smtpResponse": "250 ok"},
    "DeliveryDelay": {"timestamp": SENT_AT, "delayType": "MailboxFull", "delayedRecipients": [{"status": "4.2.2"}]},
    "Bounce": BOUNCE,
    "Complaint": {"timestamp": SENT_AT, "complaintFeedbackType": "abuse", "complainedRecipients": [{}]},
    "Reject": {"reason": "Bad content"},
    "Rendering Failure": {"errorMessage": "no such name", "templateName": "welcome"},
    "Open": {"timestamp": SENT_AT, "ipAddress": "203.0.113.9", "userAgent": "Thunderbird"},
    "Click": {"timestamp": SENT_AT, "link": "https://shop.example/", "linkTags": {"a": ["b"]}},
    "Subscription": {"timestamp": SENT_AT, "newTopicPreferences": {"unsubscribeAll": True}},
}
MORPH = {"object": "open", "created_at": mailersend.AT, "reason": "no", "bounce_code": 550, **VISIT}
RESEND_MORE = {
    "bounce": {"type": "Permanent", "subType": "General", "message": "no such user"},
    "click": {"link": "https://shop.example/", "ipAddress": "203.0.113.9", "timestamp": resend.AT, "userAgent": "X"},
    "headers": [{"name": "Sender", "value": "x"}],
}


def kinds(table: list[tuple[Any, ...]], place: int = 0) -> list[Any]:
    """One column of a provider's table of events."""
    return [row[place] for row in table]


CASES = {
    "brevo": Case(
        "brevo",
        [brevo.event(name, reason="550 no", link="", **VISIT) for name in kinds(brevo.EVENTS)]
        + [brevo.event("click", **{"X-Mailin-custom": f"postmeter_id:{OUR_ID}", "tag": "[]", "sending_ip": "::1"})],
        {"event", "message-id"},
    ),
    "mailersend": Case(
        "mailersend",
        [make(name, MORPH) for make in (mailersend.first, mailersend.second) for name in kinds(mailersend.EVENTS)],
        {("type",), "message_id", ("data", "email", "message", "id")},
    ),
    "mailgun": Case(
        "mailgun",
        [
            mailgun.body(
                mailgun.event(
                    name,
                    severity="permanent",
                    reason="bounce",
                    delivery_status={"code": 550, "message": "no such user", "enhanced-code": "5.1.1", "attempt-no": 1},
                    client_info={"user-agent": "Mozilla/5.0 (X11)", "bot": ""},
                    campaigns=[{"id": "c1", "name": "spring"}],
                    template={"name": "welcome"},
                    reject={"reason": "no", "description": ""},
                    **VISIT,
                )
            )
            for name in ["failed", *kinds(mailgun.EVENTS)]
        ],
        {"event", "message-id"},
        {"severity", "reason", "bounce-type"},
    ),
    "mailgun of before": Case(
        "mailgun",
        [
            OLD_FORM | VISIT | {"event": name, "reason": "hardfail"}
            for name in ("delivered", "dropped", "bounced", "opened", "clicked", "complained", "unsubscribed", "stored")
        ],
        {"event", "Message-Id"},
        wrap=form,
    ),
    "mailjet": Case(
        "mailjet",
        [
            mailjet.event(name, hard_bounce=True, error="user unknown", comment="no", agent="X", geo="FR", **VISIT)
            for name in ("sent", "open", "click", "bounce", "blocked", "spam", "unsub", "typo")
        ],
        {"event", "MessageID"},
        {"error"},
    ),
    "mailtrap": Case(
        "mailtrap",
        [
            mailtrap.event(name, response="550 no", response_code=550, bounce_category="spam", reason="no", **VISIT)
            for name in kinds(mailtrap.EVENTS)
        ],
        {"event", "message_id"},
        wrap=lambda item: delivery({"events": [item]}),
    ),
    "mandrill": Case(
        "mandrill",
        [
            mandrill.event(
                name,
                {"diag": "550 no", "bounce_description": "bad_mailbox", "smtp_events": [{"diag": "451 later"}]},
                location={"city": "Paris"},
                **VISIT,
            )
            for name in kinds(mandrill.EVENTS)
        ],
        {"event", "_id"},
        wrap=lambda item: delivery(mandrill.form([item])),
    ),
    "postal": Case(
        "postal",
        kinds(postal.EVENTS),
        {"event", "token"},
        {"output", "details", "direction"},
    ),
    "postmark": Case(
        "postmark",
        [told | {"Geo": {"IP": "203.0.113.9"}} for told in kinds(postmark.RECORDS)]
        + [postmark.bounce(kind) for kind in ("HardBounce", "Transient", "SoftBounce", "ManuallyDeactivated")]
        + [postmark.change(True, "ManualSuppression", "Recipient")],
        {"RecordType", "MessageID"},
        {"Type", "SuppressSending", "SuppressionReason", "Origin"},
    ),
    "resend": Case(
        "resend",
        [resend.event(name, **RESEND_MORE) for name in kinds(resend.EVENTS)],
        {"email_id", ("type",)},
        {"bounce", "subType"},
    ),
    "sendgrid": Case(
        "sendgrid",
        [
            sendgrid.event(
                name,
                type="bounce",
                reason="550 no",
                status="5.1.1",
                template_id="t",
                sg_template_id="d",
                singlesend_id="s",
                useragent="Mozilla/5.0",
                **VISIT,
            )
            for name in kinds(sendgrid.EVENTS)
        ],
        {"event", "sg_message_id", "postmeter_id"},
        wrap=lambda item: delivery([item]),
    ),
    "ses": Case(
        "ses",
        [ses_event(name, details) for name, details in SES_DETAILS.items()],
        {"eventType", "messageId"},
        {"bounceSubType", "complaintSubType", "unsubscribeAll", "newTopicPreferences", "subscription"},
        wrap=raw_delivery,
    ),
    "ses in a message of sns": Case(
        "ses",
        [ses_event(name, details) for name, details in SES_DETAILS.items()],
        {"eventType", "messageId"},
        {"bounceSubType", "complaintSubType", "unsubscribeAll", "newTopicPreferences", "subscription"},
        wrap=lambda item: delivery(Sns.unsigned(item)),
    ),
    "sparkpost": Case(
        "sparkpost",
        [
            sparkpost.event(name, envelope, bounce_class="10", raw_reason="550 no", target_link_url="x", fbtype="abuse")
            for name, envelope in zip(kinds(sparkpost.EVENTS), kinds(sparkpost.EVENTS, 1), strict=True)
        ],
        {"type", "message_id"},
        {"bounce_class"},
        wrap=lambda item: delivery([item]),
    ),
}


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Everything inside a JSON value, with its path."""
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield from places(child, (*path, key))


def replaced(value: Any, path: Path, by: Any) -> Any:
    """The value with another one at a path, or nothing."""
    if not path:
        return by
    copy = value.copy()
    if len(path) == 1 and by is MISSING:
        del copy[path[0]]
    else:
        copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


def names(told: Any, case: Case) -> tuple[set[Path], set[Path]]:
    """(paths that name the event or its message or hold what does, those that are or hold something decisive)."""
    named, decisive = {()}, set[Path]()
    for path, value in places(told):
        holders = {path[:length] for length in range(len(path) + 1)}
        holds_id = not isinstance(value, dict | list) and OUR_ID in str(value)
        if path and (path[-1] in case.named or path in case.named or holds_id or "signature" in path):
            named |= holders
        elif path and path[-1] in case.decisive:
            decisive |= holders
    return named, decisive


def taken(case: Case, told: Any) -> list[Event]:
    provider = PROVIDERS[case.slug]
    items = provider.items(case.wrap(told))
    return [event for item in items for event in read(provider, SOURCE, item, NOW * 1_000_000)]


def messages(found: list[Event]) -> set[tuple[bytes, str]]:
    return {(event.message, event.provider_message) for event in found}


@pytest.mark.parametrize("name", sorted(CASES))
def test_an_incidental_field_of_any_type_costs_no_event(name: str) -> None:
    case = CASES[name]
    seen = set[int]()
    for told in case.told:
        good = taken(case, told)
        named, decisive = names(told, case)
        seen |= {event.type for event in good}
        for path, _ in places(told):
            if path in named:
                continue
            for value in VALUES:
                found = taken(case, replaced(told, path, value))
                what = (path, value, told)
                assert messages(found) == messages(good), what
                if path not in decisive:
                    assert {event.type for event in found} == {event.type for event in good}, what
    assert {EventType.BOUNCED, EventType.OPENED, EventType.CLICKED} <= seen


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("change", [str.upper, str.lower, str.title, lambda name: f" {name} "])
def test_an_events_name_may_be_in_any_case(name: str, change: Callable[[str], str]) -> None:
    case = CASES[name]
    for told in case.told:
        for path, value in places(told):
            if path and path[-1] in ("event", "type", "RecordType", "eventType") and "data" not in path[:1]:
                kinds_told = {event.type for event in taken(case, replaced(told, path, change(value)))}
                assert kinds_told == {event.type for event in taken(case, told)}, (path, value)


def test_every_provider_is_tried() -> None:
    assert {case.slug for case in CASES.values()} == set(PROVIDERS)

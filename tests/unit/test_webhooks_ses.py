"""Amazon SES by SNS: what each event says."""

from collections import OrderedDict
from typing import Any

import pytest

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks.providers import sns_certificates
from postmeter.tracking.webhooks.providers.ses import PROVIDER
from tests.webhooks.deliveries import OUR_ID, micros, reading
from tests.webhooks.ses import BOUNCE, SENT_AT, event, mail, raw_delivery
from tests.webhooks.sns import Sns


@pytest.fixture
def sns(monkeypatch: pytest.MonkeyPatch) -> Sns:
    found = Sns()
    monkeypatch.setattr(sns_certificates, "outside", found.fetch)
    monkeypatch.setattr(sns_certificates, "_known", OrderedDict())
    return found


def told(content: dict[str, Any]) -> Any:
    (item,) = PROVIDER.items(raw_delivery(content))
    (found,) = PROVIDER.read(item)
    return found


@pytest.mark.parametrize(
    ("kind", "details", "expected"),
    [
        ("Send", {}, EventType.SENT),
        ("Delivery", {"timestamp": SENT_AT, "recipients": ["ada@mail.example"]}, EventType.DELIVERED),
        ("DeliveryDelay", {"timestamp": SENT_AT, "delayType": "MailboxFull"}, EventType.DEFERRED),
        ("Bounce", BOUNCE, EventType.BOUNCED),
        ("Complaint", {"timestamp": SENT_AT, "complaintFeedbackType": "abuse"}, EventType.COMPLAINED),
        ("Reject", {"reason": "Bad content"}, EventType.FAILED),
        ("Rendering Failure", {"errorMessage": "no such name", "templateName": "welcome"}, EventType.FAILED),
        ("Open", {"timestamp": SENT_AT, "ipAddress": "203.0.113.9", "userAgent": "Thunderbird"}, EventType.OPENED),
        ("Click", {"timestamp": SENT_AT, "link": "https://shop.example/"}, EventType.CLICKED),
        ("Subscription", {"newTopicPreferences": {"unsubscribeAll": True}}, EventType.UNSUBSCRIBED),
        ("Teleport", {"timestamp": SENT_AT}, EventType.UNKNOWN),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_event_of_event_publishing(kind: str, details: dict[str, Any], expected: EventType) -> None:
    found = told(event(kind, details))
    assert found.type is expected
    assert found.name == kind
    assert found.message == OUR_ID
    assert found.provider_message == "0102018e-0001"
    assert found.recipient == "ada@mail.example"
    assert found.from_address == "Shop <news@shop.example>"
    assert found.subject == "Hello"
    assert found.tags == ("campaign:spring",)
    assert (found.bounce is None) is (expected is not EventType.BOUNCED)


def test_a_bounce_in_full() -> None:
    found = told(event("Bounce", BOUNCE))
    assert found.bounce is BounceType.HARD
    assert found.reason == "General smtp; 550 5.1.1 no such user"
    assert found.event_id == "0102018e-feed"
    assert found.at == micros("2026-03-01T10:00:03.250+00:00")


@pytest.mark.parametrize(
    ("bounce_type", "sub_type", "kind", "bounce"),
    [
        ("Permanent", "NoEmail", EventType.BOUNCED, BounceType.HARD),
        ("Transient", "MailboxFull", EventType.BOUNCED, BounceType.SOFT),
        ("Undetermined", "Undetermined", EventType.BOUNCED, BounceType.SOFT),
        ("Permanent", "Suppressed", EventType.FAILED, None),
        ("Permanent", "OnAccountSuppressionList", EventType.FAILED, None),
        ("Permanent", "UnsubscribedRecipient", EventType.FAILED, None),
    ],
)
def test_bounces_by_the_classes_of_ses(
    bounce_type: str, sub_type: str, kind: EventType, bounce: BounceType | None
) -> None:
    found = told(event("Bounce", BOUNCE | {"bounceType": bounce_type, "bounceSubType": sub_type}))
    assert (found.type, found.bounce) == (kind, bounce)
    assert found.reason.startswith(sub_type)


def test_a_complaint_about_mail_that_was_not_sent_is_a_failure() -> None:
    found = told(event("Complaint", {"complaintSubType": "OnAccountSuppressionList", "timestamp": SENT_AT}))
    assert found.type is EventType.FAILED


@pytest.mark.parametrize(
    ("status", "everything", "expected"),
    [
        ("OptIn", False, EventType.UNKNOWN),
        ("OptOut", False, EventType.UNSUBSCRIBED),
        ("OptIn", True, EventType.UNSUBSCRIBED),
    ],
)
def test_who_subscribes_does_not_unsubscribe(status: str, everything: bool, expected: EventType) -> None:
    topics = [{"topicName": "news", "subscriptionStatus": status}]
    wishes = {"topicSubscriptionStatus": topics, "unsubscribeAll": everything}
    assert told(event("Subscription", {"newTopicPreferences": wishes})).type is expected


def test_an_event_per_recipient() -> None:
    several = [{"emailAddress": f"{name}@mail.example"} for name in ("ada", "bob")]
    found = readings_of(event("Bounce", BOUNCE | {"bouncedRecipients": several}))
    assert [one.recipient for one in found] == ["ada@mail.example", "bob@mail.example"]
    destination = mail(destination=["ada@mail.example", "bob@mail.example"])
    assert [one.recipient for one in readings_of(event("Send", mail=destination))] == destination["destination"]


def test_an_open_of_mail_to_several_is_nobodys_in_particular() -> None:
    destination = mail(destination=["ada@mail.example", "bob@mail.example"])
    (found,) = readings_of(event("Open", {"timestamp": SENT_AT}, mail=destination))
    assert found.recipient == ""


def readings_of(content: dict[str, Any]) -> Any:
    return [found for item in PROVIDER.items(raw_delivery(content)) for found in PROVIDER.read(item)]


def test_the_older_notifications() -> None:
    headers = [{"name": "X-Postmeter-Id", "value": OUR_ID}]
    older = {"notificationType": "Bounce", "bounce": BOUNCE, "mail": mail(tags=None, headers=headers)}
    newer = told(event("Bounce", BOUNCE))
    found = told(older)
    assert (found.type, found.bounce, found.message) == (EventType.BOUNCED, BounceType.HARD, OUR_ID)
    assert found.tags == ()
    # Who has both sorts on counts a bounce once.
    assert (found.event_id, found.name, found.recipient) == (newer.event_id, newer.name, newer.recipient)
    delivered = {"timestamp": SENT_AT, "recipients": ["ada@mail.example"]}
    both = [
        told({name: "Delivery", "delivery": delivered, "mail": mail()}) for name in ("eventType", "notificationType")
    ]
    assert both[0] == both[1]
    assert both[0].event_id
    least = {"notificationType": "Delivery", "delivery": {}, "mail": {"messageId": "m", "timestamp": SENT_AT}}
    assert told(least).at == micros(SENT_AT.replace("Z", "+00:00"))


def test_wrapped_and_raw_say_the_same(sns: Sns) -> None:
    content = event("Click", {"timestamp": SENT_AT, "link": "https://shop.example/?a=1&b=%20"})
    assert reading(PROVIDER, sns.message(content)) == told(content)

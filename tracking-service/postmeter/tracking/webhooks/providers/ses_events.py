"""Events of SES: those of event publishing (`eventType`) and the older notifications (`notificationType`).

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
Our id travels as the message tag `postmeter_id` (only event publishing tells tags), else as the mail's header
`X-Postmeter-Id`. `mail.messageId` is what the send answer calls MessageId.
"""

from __future__ import annotations

import msgspec

from postmeter.shared.stream.events import BounceType, EventType
from postmeter.tracking.webhooks import lenient_json, moments
from postmeter.tracking.webhooks.events import MOST_TAGS, REASON_CHARS
from postmeter.tracking.webhooks.lenient_json import JsonObject
from postmeter.tracking.webhooks.provider import ID_HEADER, MESSAGE_KEY, ItemUnreadable, Reading

_TYPES = {
    "send": EventType.SENT,
    "delivery": EventType.DELIVERED,
    "deliverydelay": EventType.DEFERRED,
    "bounce": EventType.BOUNCED,
    "complaint": EventType.COMPLAINED,
    "reject": EventType.FAILED,
    "rendering failure": EventType.FAILED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
    "subscription": EventType.UNSUBSCRIBED,
}
_DETAILS = {"deliverydelay": "deliveryDelay", "rendering failure": "failure"}
"""Where an event's own object is not named as its type is in small letters."""
_NOT_TRIED = frozenset({"suppressed", "onaccountsuppressionlist", "unsubscribedrecipient"})
"""Sub-types of bounces and complaints with which SES says that it did not try to deliver."""
_NAMED = ("bouncedRecipients", "complainedRecipients", "delayedRecipients")
MAX_RECIPIENTS = 100
"""Of one event; a mail of SES has 50 at most. What is told of all of them is read once, for it may be long."""
_ONCE = frozenset({EventType.SENT, EventType.DELIVERED, EventType.FAILED})
"""Types that happen to a recipient of a message once."""


def readings(item: bytes) -> list[Reading]:
    """One event per recipient that it tells about."""
    body = lenient_json.item_of(item)
    word, mail = body.word("eventType", "notificationType"), body.object("mail")
    details = body.object(_DETAILS.get(word, word)) if word in _TYPES else JsonObject()
    kind, headers, message = _kind(word, details), mail.object("commonHeaders"), mail.text("messageId")
    told_of_all = Reading(
        type=kind,
        name=body.text("eventType", "notificationType"),
        # A Send, a Reject and a Rendering Failure have no time but the mail's.
        at=moments.of(details.text("timestamp") or mail.text("timestamp")),
        event_id=details.text("feedbackId") or (message if kind in _ONCE else ""),
        message=_our_id(mail),
        provider_message=message,
        bounce=_bounce(details) if kind is EventType.BOUNCED else None,
        url=details.text("link"),
        user_agent=details.text("userAgent"),
        ip=details.text("ipAddress"),
        from_address=next(iter(headers.texts("from")), mail.text("source")),
        subject=headers.text("subject"),
        template=details.text("templateName"),
        tags=_own_tags(mail.object("tags")),
    )
    kind_of_it = details.text("bounceSubType", "delayType", "complaintSubType", "complaintFeedbackType")
    why = details.text("reason", "errorMessage")
    return [
        msgspec.structs.replace(told_of_all, recipient=recipient, reason=_reason(kind_of_it, said, why))
        for recipient, said in _recipients(kind, mail, details)
    ]


def _kind(word: str, details: JsonObject) -> EventType:
    if details.word("bounceSubType") in _NOT_TRIED or details.word("complaintSubType") in _NOT_TRIED:
        return EventType.FAILED
    if word == "subscription":
        wishes = details.object("newTopicPreferences")
        topics = wishes.objects("topicSubscriptionStatus")
        if not wishes.yes("unsubscribeAll") and all(topic.word("subscriptionStatus") != "optout" for topic in topics):
            return EventType.UNKNOWN  # somebody subscribed
    return _TYPES.get(word, EventType.UNKNOWN)


def _bounce(details: JsonObject) -> BounceType:
    """SES' own classes; of an Undetermined bounce it could not read why."""
    return BounceType.HARD if details.word("bounceType") == "permanent" else BounceType.SOFT


def _recipients(kind: EventType, mail: JsonObject, details: JsonObject) -> list[tuple[str, str]]:
    """(address, what its server said) of each."""
    named = next((found for name in _NAMED if (found := details.objects(name))), [])
    addresses = details.texts("recipients") or mail.texts("destination")
    if max(len(named), len(addresses)) > MAX_RECIPIENTS:
        raise ItemUnreadable(f"it tells of more than {MAX_RECIPIENTS} recipients")
    if named:
        return [(one.text("emailAddress"), one.text("diagnosticCode", "status")) for one in named]
    if kind in (EventType.OPENED, EventType.CLICKED, EventType.UNSUBSCRIBED, EventType.UNKNOWN):
        # They do not say whose they are: with several recipients it is nobody's in particular.
        addresses = addresses if len(addresses) == 1 else []
    return [(address, "") for address in addresses] or [("", "")]


def _reason(*words: str) -> str:
    return " ".join(word[:REASON_CHARS] for word in words if word)


def _our_id(mail: JsonObject) -> str:
    tagged = next(iter(mail.object("tags").texts(MESSAGE_KEY)), "")
    headers = mail.objects("headers")
    return tagged or next((header.text("value") for header in headers if header.word("name") == ID_HEADER), "")


def _own_tags(tags: JsonObject) -> tuple[str, ...]:
    """The sender's own tags; those that SES adds itself begin with `ses:`."""
    own = [name for name in tags.names() if name != MESSAGE_KEY and not name.startswith("ses:")]
    return tuple(f"{name}:{value}" for name in own[:MOST_TAGS] for value in tags.texts(name))

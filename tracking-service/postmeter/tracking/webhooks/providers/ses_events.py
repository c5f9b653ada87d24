"""Events of SES: those of event publishing (`eventType`) and the older notifications (`notificationType`).

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
Our id travels as the message tag `postmeter_id` (only event publishing tells tags), else as the mail's header
`X-Postmeter-Id`. `mail.messageId` is what the send answer calls MessageId.
"""

from __future__ import annotations

from typing import Any

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import moments
from postmeter.tracking.webhooks.provider import ID_HEADER, MESSAGE_KEY
from postmeter.tracking.webhooks.reading import Reading, Unreadable

_TYPES = {
    "Send": EventType.SENT,
    "Delivery": EventType.DELIVERED,
    "DeliveryDelay": EventType.DEFERRED,
    "Bounce": EventType.BOUNCED,
    "Complaint": EventType.COMPLAINED,
    "Reject": EventType.FAILED,
    "Rendering Failure": EventType.FAILED,
    "Open": EventType.OPENED,
    "Click": EventType.CLICKED,
    "Subscription": EventType.UNSUBSCRIBED,
}
_DETAILS = {"DeliveryDelay": "delivery_delay", "Rendering Failure": "failure"}
"""Where an event's own object is not named as its type in small letters."""
_NOT_TRIED = frozenset({"Suppressed", "OnAccountSuppressionList", "UnsubscribedRecipient"})
"""Sub-types of bounces and complaints with which SES says that it did not try to deliver."""
MAX_RECIPIENTS = 1_000
"""Of one event; a mail of SES has 50 at most."""
_ONCE = frozenset({EventType.SENT, EventType.DELIVERED, EventType.FAILED})
"""Types that happen to a recipient of a message once."""


class _Recipient(msgspec.Struct, rename="camel"):
    email_address: str = ""
    diagnostic_code: str | None = None
    status: str | None = None


class _Header(msgspec.Struct):
    name: str = ""
    value: str | None = None


class _CommonHeaders(msgspec.Struct, rename="camel"):
    subject: str | None = None
    from_: list[str] | None = msgspec.field(name="from", default=None)


class _Mail(msgspec.Struct, rename="camel"):
    message_id: str = ""
    timestamp: str | None = None
    source: str | None = None
    destination: list[str] | None = None
    headers: list[_Header] | None = None
    common_headers: _CommonHeaders | None = None
    tags: dict[str, list[str]] | None = None


class _Preference(msgspec.Struct, rename="camel"):
    subscription_status: str | None = None


class _Preferences(msgspec.Struct, rename="camel"):
    unsubscribe_all: bool = False
    topic_subscription_status: list[_Preference] | None = None


class _Details(msgspec.Struct, rename="camel"):
    """What stands under the event's own name; each type has some of these."""

    timestamp: str | None = None
    recipients: list[str] | None = None
    bounce_type: str | None = None
    bounce_sub_type: str | None = None
    bounced_recipients: list[_Recipient] | None = None
    complained_recipients: list[_Recipient] | None = None
    delayed_recipients: list[_Recipient] | None = None
    complaint_feedback_type: str | None = None
    complaint_sub_type: str | None = None
    delay_type: str | None = None
    feedback_id: str | None = None
    reason: str | None = None
    error_message: str | None = None
    template_name: str | None = None
    link: str | None = None
    user_agent: str | None = None
    ip_address: str | None = None
    new_topic_preferences: _Preferences | None = None


class _Item(msgspec.Struct, rename="camel"):
    event_type: str = ""
    notification_type: str = ""
    mail: _Mail | None = None
    send: _Details | None = None
    delivery: _Details | None = None
    delivery_delay: _Details | None = None
    bounce: _Details | None = None
    complaint: _Details | None = None
    reject: _Details | None = None
    failure: _Details | None = None
    open: _Details | None = None
    click: _Details | None = None
    subscription: _Details | None = None


_decoder = msgspec.json.Decoder(_Item)


def readings(item: bytes) -> list[Reading]:
    """One event per recipient that it tells about."""
    told = _decoder.decode(item)
    name = told.event_type or told.notification_type
    details: Any = getattr(told, _DETAILS.get(name, name.lower()), None) if name in _TYPES else None
    details, mail = details or _Details(), told.mail or _Mail()
    kind = _kind(name, details)
    headers, tags = mail.common_headers or _CommonHeaders(), mail.tags or {}
    return [
        Reading(
            type=kind,
            name=name,
            # A Send, a Reject and a Rendering Failure have no time but the mail's.
            at=moments.of_text(details.timestamp or mail.timestamp),
            event_id=details.feedback_id or (mail.message_id if kind in _ONCE else ""),
            message=_our_id(mail),
            provider_message=mail.message_id,
            recipient=recipient.email_address,
            bounce=_bounce(details) if kind is EventType.BOUNCED else None,
            reason=_reason(details, recipient),
            url=details.link or "",
            user_agent=details.user_agent or "",
            ip=details.ip_address or "",
            from_address=next(iter(headers.from_ or ()), mail.source or ""),
            subject=headers.subject or "",
            template=details.template_name or "",
            tags=_own_tags(tags),
        )
        for recipient in _recipients(kind, mail, details)
    ]


def _kind(name: str, details: _Details) -> EventType:
    if details.bounce_sub_type in _NOT_TRIED or details.complaint_sub_type in _NOT_TRIED:
        return EventType.FAILED
    if name == "Subscription":
        wishes = details.new_topic_preferences or _Preferences()
        topics = wishes.topic_subscription_status or ()
        if not wishes.unsubscribe_all and all(topic.subscription_status != "OptOut" for topic in topics):
            return EventType.UNKNOWN  # somebody subscribed
    return _TYPES.get(name, EventType.UNKNOWN)


def _bounce(details: _Details) -> BounceType:
    """SES' own classes; of an Undetermined bounce it could not read why."""
    return BounceType.HARD if details.bounce_type == "Permanent" else BounceType.SOFT


def _recipients(kind: EventType, mail: _Mail, details: _Details) -> list[_Recipient]:
    named = details.bounced_recipients or details.complained_recipients or details.delayed_recipients
    addresses = details.recipients or mail.destination or []
    if max(len(named or ()), len(addresses)) > MAX_RECIPIENTS:
        raise Unreadable(f"it tells of more than {MAX_RECIPIENTS} recipients")
    if named:
        return named
    if kind in (EventType.OPENED, EventType.CLICKED, EventType.UNSUBSCRIBED, EventType.UNKNOWN):
        # They do not say whose they are: with several recipients it is nobody's in particular.
        return [_Recipient(addresses[0] if len(addresses) == 1 else "")]
    return [_Recipient(address) for address in addresses] or [_Recipient()]


def _reason(details: _Details, recipient: _Recipient) -> str:
    words = (
        details.bounce_sub_type or details.delay_type or details.complaint_sub_type or details.complaint_feedback_type,
        recipient.diagnostic_code or recipient.status,
        details.reason or details.error_message,
    )
    return " ".join(word for word in words if word)


def _our_id(mail: _Mail) -> str:
    tagged = next(iter((mail.tags or {}).get(MESSAGE_KEY, ())), "")
    return tagged or next((one.value or "" for one in mail.headers or () if one.name.lower() == ID_HEADER), "")


def _own_tags(tags: dict[str, list[str]]) -> tuple[str, ...]:
    """The sender's own tags; those that SES adds itself begin with `ses:`."""
    own = ((name, value) for name, values in tags.items() for value in values)
    return tuple(f"{name}:{value}" for name, value in own if name != MESSAGE_KEY and not name.startswith("ses:"))

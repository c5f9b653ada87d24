"""Events of SES: those of event publishing (`eventType`) and the older notifications (`notificationType`)."""

from __future__ import annotations

import msgspec

from postmeter.shared.events import BounceType, EventType
from postmeter.tracking.webhooks import moments
from postmeter.tracking.webhooks.provider import MESSAGE_KEY
from postmeter.tracking.webhooks.reading import Reading

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


class _Recipient(msgspec.Struct, rename="camel"):
    email_address: str = ""
    diagnostic_code: str = ""
    status: str = ""


class _Headers(msgspec.Struct, rename="camel"):
    subject: str | None = None
    from_: list[str] = msgspec.field(name="from", default_factory=list)


class _Mail(msgspec.Struct, rename="camel"):
    message_id: str = ""
    source: str = ""
    destination: list[str] = []
    common_headers: _Headers = msgspec.field(default_factory=_Headers)
    tags: dict[str, list[str]] = {}


class _Details(msgspec.Struct, rename="camel"):
    """What stands under the event's own name; each type has some of these."""

    timestamp: str = ""
    recipients: list[str] = []
    bounce_type: str = ""
    bounce_sub_type: str = ""
    bounced_recipients: list[_Recipient] = []
    complained_recipients: list[_Recipient] = []
    delayed_recipients: list[_Recipient] = []
    complaint_feedback_type: str = ""
    complaint_sub_type: str | None = None
    delay_type: str = ""
    feedback_id: str = ""
    reason: str = ""
    error_message: str = ""
    template_name: str = ""
    smtp_response: str = ""
    link: str = ""
    user_agent: str = ""
    ip_address: str = ""
    source: str = ""


class _Item(msgspec.Struct, rename="camel"):
    event_type: str = ""
    notification_type: str = ""
    mail: _Mail = msgspec.field(default_factory=_Mail)
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
    details = _details(told)
    kind = _TYPES.get(name, EventType.UNKNOWN)
    first = next(iter(told.mail.tags.get(MESSAGE_KEY, ())), "")
    return [
        Reading(
            type=kind,
            name=name,
            at=moments.of_text(details.timestamp),
            message=first,
            provider_message=told.mail.message_id,
            recipient=recipient.email_address,
            bounce=(BounceType.HARD if details.bounce_type == "Permanent" else BounceType.SOFT)
            if kind is EventType.BOUNCED
            else None,
            reason=_reason(details, recipient),
            url=details.link,
            user_agent=details.user_agent,
            ip=details.ip_address,
            from_address=next(iter(told.mail.common_headers.from_), told.mail.source),
            subject=told.mail.common_headers.subject or "",
            template=details.template_name,
            tags=_tags(told.mail.tags),
        )
        for recipient in _recipients(told.mail, details)
    ]


def _details(told: _Item) -> _Details:
    found = (
        told.bounce,
        told.complaint,
        told.delivery_delay,
        told.delivery,
        told.reject,
        told.failure,
        told.open,
        told.click,
        told.subscription,
        told.send,
    )
    return next((details for details in found if details is not None), _Details())


def _recipients(mail: _Mail, details: _Details) -> list[_Recipient]:
    named = details.bounced_recipients or details.complained_recipients or details.delayed_recipients
    if named:
        return named
    # Opens and clicks do not say whose they are; a mail that is tracked has one recipient.
    addresses = details.recipients or mail.destination or [""]
    several = bool(details.link or details.user_agent or details.ip_address)
    return [_Recipient(address) for address in (addresses[:1] if several else addresses)]


def _reason(details: _Details, recipient: _Recipient) -> str:
    words = (
        details.bounce_sub_type or details.delay_type or details.complaint_feedback_type,
        recipient.diagnostic_code or recipient.status,
        details.reason or details.error_message,
    )
    return " ".join(word for word in words if word)


def _tags(tags: dict[str, list[str]]) -> tuple[str, ...]:
    """The sender's own tags; those that SES adds itself begin with `ses:`."""
    own = ((name, value) for name, values in tags.items() for value in values)
    return tuple(f"{name}:{value}" for name, value in own if name != MESSAGE_KEY and not name.startswith("ses:"))

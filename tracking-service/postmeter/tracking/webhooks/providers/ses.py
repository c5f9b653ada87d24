"""Amazon SES by SNS: an envelope signed by SNS, inside it an event of SES as JSON text.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
The source's option `topics` names the topics (ARNs, separated by commas) that it takes; the secret is not used, for
SNS signs with its own certificate. Our id travels as the message tag `postmeter_id` (header X-SES-MESSAGE-TAGS).
`mail.messageId` is SES' id of the message.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postmeter.shared import logs
from postmeter.shared.errors import RequestError
from postmeter.tracking.webhooks import sns
from postmeter.tracking.webhooks.delivery import Delivery, Source
from postmeter.tracking.webhooks.provider import Provider, SecretOrigin
from postmeter.tracking.webhooks.providers.ses_events import readings
from postmeter.tracking.webhooks.reading import Reading


async def _verify(delivery: Delivery, source: Source) -> None:
    topics = [topic.strip() for topic in source.options.get("topics", "").split(",")]
    await sns.verify(sns.envelope_of(delivery.body), topics, delivery.now)


async def _reply(delivery: Delivery, source: Source) -> bool:
    """Confirm a subscription to one of the source's topics; `verify` has looked at topic and signature."""
    envelope = sns.envelope_of(delivery.body)
    if envelope.type == "SubscriptionConfirmation":
        await sns.confirm(envelope)
        logs.get().info("SNS subscription confirmed", source=source.id, topic=envelope.topic_arn)
    elif envelope.type == "UnsubscribeConfirmation":
        logs.get().warning("SNS subscription ended: no more events come", source=source.id, topic=envelope.topic_arn)
    return envelope.type != "Notification"


def _items(delivery: Delivery) -> Sequence[bytes]:
    message = sns.envelope_of(delivery.body).message
    try:
        msgspec.json.decode(message, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        # SNS sends a line of text when a topic is chosen in SES' console.
        if message.startswith("Successfully validated SNS topic"):
            return []
        raise RequestError(400, "INVALID_BODY", "The notification holds no event of SES.") from None
    return [message.encode()]


def _read(item: bytes) -> list[Reading]:
    return readings(item)


PROVIDER = Provider(
    slug="ses", name="SES", secret=SecretOrigin.OURS, verify=_verify, items=_items, read=_read, reply=_reply
)

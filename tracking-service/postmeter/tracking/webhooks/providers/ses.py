"""Amazon SES by SNS: a message signed by SNS that holds one event of SES as JSON, or that event alone ("raw").

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html
The source's option `topics` names the topics (ARNs, separated by commas) that it takes. SNS signs with its own
certificate and takes no secret; raw deliveries are not signed, so they need the source's secret as the password in
the subscription's URL.
"""

from __future__ import annotations

from collections.abc import Sequence

from postmeter.shared.process import logs
from postmeter.tracking.webhooks import items, signatures
from postmeter.tracking.webhooks.provider import Delivery, Provider, SecretOrigin, WebhookSource, refused
from postmeter.tracking.webhooks.providers import sns
from postmeter.tracking.webhooks.providers.ses_events import readings

_VALIDATED = "Successfully validated SNS topic"
"""How the line of text begins that SES publishes when a topic is chosen in its console."""


def _topics(source: WebhookSource) -> list[str]:
    return [topic.strip() for topic in source.options.get("topics", "").split(",")]


def _is_raw(delivery: Delivery) -> bool:
    return delivery.headers.get("x-amz-sns-rawdelivery", "").strip().lower() == "true"


def _check(source: WebhookSource) -> None:
    for topic in _topics(source):
        sns.host_of(topic)
        if topic.endswith(".fifo"):
            raise refused(f"Topics of type FIFO cannot post to HTTPS: {topic}")


async def _verify(delivery: Delivery, source: WebhookSource) -> None:
    if _is_raw(delivery):
        await signatures.basic_auth(delivery, source)
        sns.require_topic(signatures.header(delivery, "x-amz-sns-topic-arn"), _topics(source))
        return
    await sns.verify(sns.message_of(delivery.body), _topics(source), source.workspace, delivery.now)


async def _reply(delivery: Delivery, source: WebhookSource) -> bool:
    """Confirm a subscription to one of the source's topics; `verify` has looked at topic and signature."""
    if _is_raw(delivery):
        return False
    message = sns.message_of(delivery.body)
    if message.type == "SubscriptionConfirmation":
        await sns.confirm(message, _topics(source))
        logs.get().info("SNS subscription confirmed", source=source.id, topic=message.topic_arn)
    elif message.type == "UnsubscribeConfirmation":
        logs.get().warning("SNS subscription ended: no more events come", source=source.id, topic=message.topic_arn)
    return message.type != "Notification"


def _items(delivery: Delivery) -> Sequence[bytes]:
    if _is_raw(delivery):
        return [] if delivery.body.startswith(_VALIDATED.encode()) else items.of_object(delivery.body)
    text = sns.message_of(delivery.body).message
    if text.startswith(_VALIDATED):
        return []
    return items.of_object(text.encode("utf-8", "surrogateescape"))


PROVIDER = Provider(
    slug="ses",
    name="SES",
    secret=SecretOrigin.OURS,
    verify=_verify,
    items=_items,
    read=readings,
    reply=_reply,
    options=("topics",),
    check=_check,
)

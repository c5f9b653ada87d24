"""One module per email provider: how its webhook is signed, and what its payloads mean."""

from postmeter.tracking.webhooks.provider import Provider
from postmeter.tracking.webhooks.providers import postmark, sendgrid

PROVIDERS: dict[str, Provider] = {
    provider.slug: provider
    for provider in (
        postmark.PROVIDER,
        sendgrid.PROVIDER,
    )
}
"""By the name in the webhook's URL."""

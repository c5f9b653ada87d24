"""One module per email provider: how its webhook is signed, and what its payloads mean."""

from postmeter.tracking.webhooks.provider import Provider
from postmeter.tracking.webhooks.providers import mailgun, postmark, resend, sendgrid, sparkpost

PROVIDERS: dict[str, Provider] = {
    provider.slug: provider
    for provider in (
        mailgun.PROVIDER,
        postmark.PROVIDER,
        resend.PROVIDER,
        sendgrid.PROVIDER,
        sparkpost.PROVIDER,
    )
}
"""By the name in the webhook's URL."""

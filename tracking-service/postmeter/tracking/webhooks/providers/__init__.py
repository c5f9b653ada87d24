"""One module per email provider: how its webhook is signed, and what its payloads mean. `sns` is part of Amazon SES."""

from postmeter.tracking.webhooks.provider import Provider
from postmeter.tracking.webhooks.providers import (
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
    ses,
    sparkpost,
)

PROVIDERS: dict[str, Provider] = {
    module.PROVIDER.slug: module.PROVIDER
    for module in (
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
        ses,
        sparkpost,
    )
}
"""By the name in the webhook's URL."""

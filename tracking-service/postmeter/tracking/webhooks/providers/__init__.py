"""One module per email provider: how its webhook is signed, and what its payloads mean."""

from postmeter.tracking.webhooks.provider import Provider

PROVIDERS: dict[str, Provider] = {}
"""By the name in the webhook's URL."""

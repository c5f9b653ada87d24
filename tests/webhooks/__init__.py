"""Webhooks of email providers: what each tells, as it signs it, and the way from its delivery to what is counted."""

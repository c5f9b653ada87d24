"""Webhooks of email providers: verified over the raw bytes, read into events, written to the streams."""

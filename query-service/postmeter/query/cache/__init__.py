"""Answers kept under the workspace's version, so that none is ever stale (ADR 0046)."""

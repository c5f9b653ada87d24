"""Signing in at an OpenID provider (ADR 0042)."""

"""The published APIs, each in its own words over one engine."""

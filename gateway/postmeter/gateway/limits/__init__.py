"""Requests per minute of each workspace, counted in Redis."""

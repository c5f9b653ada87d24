"""Optail's API: messages, and metrics by time and dimension."""

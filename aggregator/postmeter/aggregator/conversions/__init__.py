"""Purchases: stored, attributed to clicks, counted."""
